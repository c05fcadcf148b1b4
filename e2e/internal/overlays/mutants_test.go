package overlays

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "pmem-memcached-e2e/e2e" // the specs
	"pmem-memcached-e2e/e2e/testdata/mutants"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/manifests"
)

// TestMutants makes sure that each mutant renders, that what is rendered differs from the manifests, and that its
// scripts are still scripts.
func TestMutants(t *testing.T) {
	c, err := spec.NewCatalogue(framework.Specs())
	if err != nil {
		t.Fatal(err)
	}
	all, err := mutants.All(c)
	if err != nil {
		t.Fatal(err)
	}
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
