package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/deploy"
)

// TestRestartOverlays makes sure that each overlay of the persistent base still
// renders and still has its one change.
func TestRestartOverlays(t *testing.T) {
	for dir, change := range map[string]string{
		"resized":                `"storage":"320Mi"`,
		"broken/slab-automove":   `"MEMCACHED_ARGS","value":"-o slab_automove=1"`,
		"broken/state-file-kept": "cp -p /data/kept",
	} {
		t.Run(dir, func(t *testing.T) {
			m, err := deploy.Load("testdata/"+dir, deploy.Changes{})
			if err != nil {
				t.Fatal(err)
			}
			base, err := deploy.Load("../manifests/persistent", deploy.Changes{})
			if err != nil {
				t.Fatal(err)
			}
			if text(t, base) == text(t, m) || strings.Contains(text(t, base), change) || !strings.Contains(text(t, m), change) {
				t.Errorf("the overlay does not change %s %s by %s", m.Kind, m.Name, change)
			}
			claim, _ := object(m, m.Kind)["spec"].(map[string]any)["volumeClaimTemplates"].([]any)
			spec, _ := claim[0].(map[string]any)["spec"].(map[string]any)
			if spec["accessModes"] == nil || spec["storageClassName"] == nil {
				t.Errorf("the claim has lost what makes it complete: %v", spec)
			}
		})
	}
}

func text(t *testing.T, m *deploy.Manifest) string {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(object(m, m.Kind)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
