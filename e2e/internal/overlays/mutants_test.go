package overlays

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	_ "pmem-memcached-e2e/e2e" // the specs
	"pmem-memcached-e2e/e2e/testdata/mutants"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/lab/addons"
	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/manifests"
)

// TestMutants makes sure that each mutant renders, that what is rendered differs from the manifests, and that its
// scripts are still scripts.
func TestMutants(t *testing.T) {
	all := declared(t)
	base := map[spec.Profile][]byte{}
	for _, mode := range []spec.Profile{spec.Ephemeral, spec.Persistent} {
		base[mode] = rendered(t, filepath.Join("../../../manifests", string(mode)))
	}
	count := map[string]int{}
	for _, m := range all {
		if m.Equivalent != "" {
			count["equivalent"]++
		} else {
			count["to be killed"]++
		}
		if m.Driver != "" {
			continue // the deployment is as it was
		}
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			if bytes.Equal(rendered(t, kustomization(t, m)), base[m.Mode]) {
				t.Errorf("%s renders the same objects as the manifests", m.Changed())
			}
		})
	}
	t.Logf("%d mutants: %v", len(all), count)
	if count["to be killed"] < 120 || count["equivalent"] < 25 {
		t.Errorf("there are %v, want 120 to be killed and 25 that are equivalent, or more", count)
	}
}

func declared(t *testing.T) []mutant.Mutant {
	t.Helper()
	c, err := spec.NewCatalogue(framework.Specs())
	if err != nil {
		t.Fatal(err)
	}
	all, err := mutants.All(c)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestLiesOfTheDriver compares the lies that are declared with those that the lying driver knows, and those of its objects.
func TestLiesOfTheDriver(t *testing.T) {
	text, err := os.ReadFile("../../../hack/lying-driver/faults.go")
	if err != nil {
		t.Fatal(err)
	}
	known := append([]string{"none"}, addons.Setups()...)
	for _, match := range regexp.MustCompile(`(?m)^\t"([a-z0-9-]+)": +\{what: "`).FindAllSubmatch(text, -1) {
		known = append(known, string(match[1]))
	}
	var lies []string
	for _, m := range declared(t) {
		if m.Driver != "" {
			lies = append(lies, m.Driver)
		}
	}
	slices.Sort(known)
	slices.Sort(lies)
	lies = slices.Compact(lies) // one can be for specs of several modes
	if !slices.Equal(known, lies) {
		t.Errorf("drivers.yaml has %v, the lying driver and the lab %v", lies, known)
	}
}

func kustomization(t *testing.T, m mutant.Mutant) string {
	t.Helper()
	if m.Overlay != "" {
		return filepath.Join("../../..", m.Overlay)
	}
	dir := t.TempDir()
	path, err := m.Edit.Write(manifests.FS, m.Mode, dir)
	if err != nil {
		t.Fatal(err)
	}
	if file := filepath.Join(dir, m.Edit.File); strings.HasSuffix(file, ".sh") {
		if out, err := exec.Command("sh", "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%s is no script: %s", m.Edit.File, out)
		}
	}
	return path
}

func rendered(t *testing.T, dir string) []byte {
	t.Helper()
	m, err := deploy.Load(dir, deploy.Changes{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(m.Objects)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
