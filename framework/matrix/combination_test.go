package matrix

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/lab/artifact"
)

const setsPath = "sets.yaml"

func sets(t *testing.T) Sets {
	t.Helper()
	text, err := os.ReadFile(setsPath)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSets(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pairs returns each pair of values of two dimensions that combinations have.
func pairs(combinations []Combination) map[string]bool {
	found := map[string]bool{}
	for _, c := range combinations {
		for i, a := range dimensions {
			for _, b := range dimensions[i+1:] {
				found[fmt.Sprintf("%s=%s %s=%s", a.name, a.of(c), b.name, b.of(c))] = true
			}
		}
	}
	return found
}

func TestPairwiseSetHasAllPairs(t *testing.T) {
	all := sets(t)[DefaultSet]
	values := map[string]map[string]bool{}
	for _, c := range all {
		for _, d := range dimensions {
			if values[d.name] == nil {
				values[d.name] = map[string]bool{}
			}
			values[d.name][d.of(c)] = true
		}
	}
	for name, count := range map[string]int{"kubernetes": 3, "memcached": 3, "kernel": 2, "filesystem": 2, "driver": 2} {
		if len(values[name]) != count {
			t.Errorf("%s has the values %v, want %d of them", name, values[name], count)
		}
	}
	found := pairs(all)
	for i, a := range dimensions {
		for _, b := range dimensions[i+1:] {
			for x := range values[a.name] {
				for y := range values[b.name] {
					if pair := fmt.Sprintf("%s=%s %s=%s", a.name, x, b.name, y); !found[pair] {
						t.Errorf("no combination has %s", pair)
					}
				}
			}
		}
	}
}

// What the combinations name is there.
func TestEnvironment(t *testing.T) {
	for name, set := range sets(t) {
		for _, c := range set {
			env := c.Environment()
			versions, err := artifact.ParseVersions(env["LAB_KUBERNETES"], env["LAB_MEMCACHED"], env["LAB_KERNEL"])
			if err != nil || len(versions.Memcached) != 2 || !strings.HasPrefix(env["LAB_MEMCACHED"], c.Memcached+",") {
				t.Errorf("set %s: %+v has memcached %s, %v; want another one, too", name, c, env["LAB_MEMCACHED"], err)
			}
			for variable := range env {
				if variable != "LAB_PMEM" && !slices.Contains(Variables(), variable) || !slices.Contains(config.Variables(), variable) {
					t.Errorf("set %s: %s is no setting that a combination decides", name, variable)
				}
			}
			if (env["EPHEMERAL"] == "") != (c.Filesystem == "ext4") {
				t.Errorf("set %s: %+v has %v", name, c, env)
			}
			for _, dir := range []string{env["EPHEMERAL"], env["PERSISTENT"]} {
				if _, err := os.Stat(filepath.Join("../..", dir, "kustomization.yaml")); dir != "" && err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func TestSelect(t *testing.T) {
	s := sets(t)
	for selection, want := range map[string]int{
		"": len(s[DefaultSet]), "pairwise": len(s[DefaultSet]), "single": len(s["single"]),
		"kernel=6.1": 5, "single,driver=direct": 1, "driver=direct, kubernetes=1.36": 2,
	} {
		if got, err := s.Select(selection); err != nil || len(got) != want {
			t.Errorf("%q selects %d, %v; want %d", selection, len(got), err, want)
		}
	}
	for selection, want := range map[string]string{
		"all":                    `"all": there is no such set; did you mean single; give a set (pairwise, single)`,
		"single,pairwise":        "there is a set already",
		"kernl=6.1":              "there is no such dimension; did you mean kernel; give a set (pairwise, single), or values of kubernetes, memcached, kernel, filesystem, driver",
		"kernel=6.1,kernel=6.12": "the dimension has a value already",
		"kernel=6.1,":            `"": it is empty`,
		"kernel=5.10":            "no combination of set pairwise has these values; there are\n  kubernetes=1.37,memcached=trixie,kernel=6.12,filesystem=ext4,driver=lvm",
	} {
		if _, err := s.Select(selection); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "MATRIX=") {
			t.Errorf("%q: %v, want %q", selection, err, want)
		}
	}
}

func TestParseSetsRefuses(t *testing.T) {
	const good = `{kubernetes: "1.37", memcached: trixie, kernel: "6.12", filesystem: ext4, driver: lvm}`
	for text, want := range map[string]string{
		"single: []":                                                      "no set pairwise",
		"pairwise: [{kernels: '6.1'}]":                                    "kernels",
		"pairwise: [{kernel: '6.1'}]":                                     "kubernetes is missing",
		"pairwise: [" + good + ", " + good + "]":                          "combination 2: it is the same as 1",
		"pairwise: [" + strings.Replace(good, "ext4", "btrfs", 1) + "]":   "give one of ext4, xfs",
		"pairwise: [" + strings.Replace(good, "lvm", "fake", 1) + "]":     "LAB_DRIVER=\"fake\"",
		"pairwise: [" + strings.Replace(good, "6.12", "5.10", 1) + "]":    "6.12 (trixie), 6.1 (bookworm)",
		"pairwise: [" + strings.Replace(good, "trixie", "woody", 1) + "]": "1.6.18 (bookworm)",
		"pairwise: [" + strings.Replace(good, "1.37", "1.12", 1) + "]":    "v1.35.4",
	} {
		if _, err := ParseSets([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
