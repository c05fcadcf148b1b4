package config

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

func TestUsage(t *testing.T) {
	var text strings.Builder
	if err := Usage(&text); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, s := range settings {
		if !strings.Contains(text.String(), "  --"+s.Flag+" ") {
			t.Errorf("the text lacks --%s:\n%s", s.Flag, &text)
		}
	}
	for _, want := range []string{"--config-file", "variable CONFIG", "variable KUBE_CONTEXT"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %q", want)
		}
	}
	text.Reset()
	if err := Usage(&text, LabGroup); err != nil || !strings.HasPrefix(text.String(), "The lab:\n") || strings.Contains(text.String(), "--focus") {
		t.Errorf("of the lab: %v\n%s", err, &text)
	}
}

// Each setting is set and written by its own entry: what is taken over is
// written as it was given, and changes no other.
func TestEachSetting(t *testing.T) {
	values := map[string]string{
		"SEED": "7", "PARALLEL": "2", "QUALIFICATION": "1", "PROVIDER": Existing, "KUBECONFIG": "/a:/b", "LAB_NODES": "2", "LAB_PMEM": "4096", "LAB_PORT": "6443", "LAB_ACCEL": "tcg",
		"LAB_SNAPSHOT": "1", "LAB_IMAGES": "/i:/j", "KEEP_LAB": "1", "KIND_ENGINE": "podman", "KIND_IMAGES": "/a:/b", "KEEP_CLUSTER": "1", "CACHE_DIR": "/c", "EPHEMERAL": "/e", "PERSISTENT": "/p", "LOAD_RESTRICTOR": LoadNone, "KNOWN_FAILURES": "/k", "RETRIES": "2", "EXCLUSIVE": "0",
		"DISRUPTIVE": "1", "WAIT_SCALE": "2,deployment-ready=3", "BENCH": "1", "BASELINE": "/b", "BENCH_DURATION": "5s", "BENCH_PAIRS": "8", "BENCH_CLIENTS": "2",
		"BENCH_PLACEMENT": "same", "REPORT_DIR": "/r", "VERBOSE": "1",
	}
	for i, s := range settings {
		c := Default("/src")
		text := values[s.Variable]
		if text == "" {
			text = "text"
		}
		if err := s.value.set(&c, base{dir: "/src"}, text); err != nil {
			t.Errorf("%s=%s: %v", s.Variable, text, err)
		}
		for j, other := range settings {
			want := other.value.get(Default("/src"))
			if i == j {
				want = text
			}
			if got := other.value.get(c); got != want {
				t.Errorf("after %s=%s %s is %q, want %q", s.Variable, text, other.Variable, got, want)
			}
		}
	}
}

// The flags of one group leave the other variables unread.
func TestFlagsOfAGroup(t *testing.T) {
	flags := pflag.NewFlagSet("lab", pflag.ContinueOnError)
	Flags(flags, LabGroup)
	if err := flags.Parse([]string{"--lab-nodes=3", "--lab-snapshot"}); err != nil {
		t.Fatal(err)
	}
	c, err := Load(flags, env(map[string]string{"LAB_NODES": "2", "LAB_PMEM": "512", "FOCUS": "("}), "/src")
	if want := (LabSettings{Nodes: 3, PMEM: 512, Snapshot: true}); err != nil || c.Lab != want {
		t.Errorf("Load() = %+v, %v, want %+v", c.Lab, err, want)
	}
	if flags.Lookup("focus") != nil || flags.Lookup("config-file") == nil {
		t.Error("the flags are not those of the lab")
	}
}

// TestMakefile: the Makefile passes on exactly the variables of the table.
func TestMakefile(t *testing.T) {
	text, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	joined := strings.ReplaceAll(string(text), "\\\n", " ")
	for name, want := range map[string][]string{
		"SUITE_VARIABLES": Variables(slices.DeleteFunc(slices.Clone(groups), func(g Group) bool { return g == LabGroup })...),
		"LAB_VARIABLES":   Variables(LabGroup),
	} {
		found := regexp.MustCompile(`(?m)^` + name + ` := (.*)$`).FindStringSubmatch(joined)
		if found == nil {
			t.Fatalf("the Makefile has no %s", name)
		}
		if got := strings.Fields(found[1]); !slices.Equal(got, want) {
			t.Errorf("the Makefile has\n%s := %s\nwant\n%s", name, strings.Join(got, " "), strings.Join(want, " "))
		}
	}
}

// The Makefile passes on whether KUBECONFIG was given to make or is exported.
func TestMakePassesKubeconfig(t *testing.T) {
	const flag = `--kubeconfig "$KUBECONFIG"`
	for _, tt := range []struct {
		arg, exported string
		want          bool
	}{{"KUBECONFIG=/given", "", true}, {"KUBECONFIG=/given", "/exported", true}, {"SEED=1", "/exported", false}, {"KUBECONFIG=", "/exported", false}} {
		cmd := exec.Command("make", "-n", "-C", "../..", "e2e", "bench", "PACKAGES=", tt.arg)
		cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=", "MFLAGS=", "KUBECONFIG="+tt.exported)
		out, err := cmd.CombinedOutput()
		if got := strings.Count(string(out), flag); err != nil || (got == 2) != tt.want || (got == 0) == tt.want {
			t.Errorf("make %s with KUBECONFIG=%s exported: %v\n%s\nwant %s: %t", tt.arg, tt.exported, err, out, flag, tt.want)
		}
	}
}
