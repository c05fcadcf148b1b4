package e2e

import (
	"slices"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/deploy"
)

// TestOverlays makes sure that each overlay in testdata still renders and still
// has its one change, so that it fails a spec for the reason it names.
func TestOverlays(t *testing.T) {
	tests := []struct {
		dir, kind string
		changed   func(*deploy.Manifest) bool
	}{
		{"customised", "Deployment", func(m *deploy.Manifest) bool {
			v, err := m.Volume()
			return err == nil && v.Size.String() == "500Mi" && m.Namespace == "demo" && m.MemcachedArgs() == "--conn-limit=500"
		}},
		{"broken/no-memory-file", "Deployment", func(m *deploy.Manifest) bool {
			return slices.Contains(command(m), any("--memory-limit=100"))
		}},
		{"broken/memory-file-on-emptydir", "Deployment", func(m *deploy.Manifest) bool {
			_, err := m.Volume()
			return err != nil
		}},
		{"broken/sigterm-not-translated", "StatefulSet", func(m *deploy.Manifest) bool {
			c := command(m)
			return len(c) > 0 && c[len(c)-1] == "ephemeral"
		}},
		{"broken/class-without-dax", "StatefulSet", func(m *deploy.Manifest) bool {
			v, err := m.Volume()
			return err == nil && v.Class == "pmem-memcached-e2e-file-io" && object(m, "StorageClass")["provisioner"] == "pmem-csi.intel.com"
		}},
		{"broken/wrong-service-port", "Deployment", func(m *deploy.Manifest) bool {
			ports, _ := object(m, "Service")["spec"].(map[string]any)["ports"].([]any)
			return len(ports) == 1 && ports[0].(map[string]any)["targetPort"] == int64(11212)
		}},
		{"broken/items-flushed", "Deployment", func(m *deploy.Manifest) bool { return len(containers(m)) == 2 }},
		{"broken/slow-on-persistent-memory", "Deployment", func(m *deploy.Manifest) bool {
			c := command(m)
			return len(c) == 3 && strings.Contains(c[2].(string), "tmpfs")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.dir, func(t *testing.T) {
			m, err := deploy.Load("testdata/"+tt.dir, deploy.Changes{})
			if err != nil {
				t.Fatal(err)
			}
			if m.Kind != tt.kind || !tt.changed(m) {
				t.Errorf("the overlay does not change %s %s as intended", m.Kind, m.Name)
			}
		})
	}
}

// command is that of the container memcached.
func command(m *deploy.Manifest) []any {
	for _, item := range containers(m) {
		if c, _ := item.(map[string]any); c["name"] == deploy.Container {
			words, _ := c["command"].([]any)
			return words
		}
	}
	return nil
}

func containers(m *deploy.Manifest) []any {
	template, _ := object(m, m.Kind)["spec"].(map[string]any)["template"].(map[string]any)
	pod, _ := template["spec"].(map[string]any)
	list, _ := pod["containers"].([]any)
	return list
}

// object is the first of its kind in a manifest.
func object(m *deploy.Manifest, kind string) map[string]any {
	for _, o := range m.Objects {
		if o.GetKind() == kind {
			return o.Object
		}
	}
	return map[string]any{"spec": map[string]any{}}
}
