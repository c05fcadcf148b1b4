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
		"resized":                          `"storage":"320Mi"`,
		"broken/arguments-dropped":         "unset MEMCACHED_ARGS",
		"broken/cas-begins-anew":           "Kcurrent_cas 1/",
		"broken/claims-deleted-with-scale": `"whenScaled":"Delete"`,
		"broken/downtime-not-counted":      "Kstop_time $(($(date +%s) - 2))/",
		"broken/flush-forgotten":           "Koldest_live 0/",
		"broken/grace-too-short":           `"terminationGracePeriodSeconds":1,`,
		"broken/memory-file-made-anew":     "rm -f /data/memcached-memory-file",
		"broken/no-room-for-state":         "head -c 1048576 /dev/zero",
		"broken/shutdown-allowed":          `"MEMCACHED_ARGS","value":"-A"`,
		"broken/slab-automove":             `"MEMCACHED_ARGS","value":"-o slab_automove=1"`,
		"broken/state-file-kept":           "cp -p /data/kept",
		"broken/state-file-unguarded":      "trap 'kill -USR1 $pid; wait $pid' TERM",
		"broken/stop-delayed":              "sleep 30; kill -TERM",
		"broken/stop-not-awaited":          "trap 'kill -USR1 $!; exit 0' TERM",
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
