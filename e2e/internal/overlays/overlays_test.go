// Package overlays tests the overlays in e2e/testdata without a cluster.
package overlays

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"pmem-memcached-e2e/framework/deploy"
)

// TestRestartOverlays makes sure that each overlay of the persistent base still
// renders and still has its one change.
func TestRestartOverlays(t *testing.T) {
	for dir, change := range map[string]string{
		"broken/arguments-dropped":            "unset MEMCACHED_ARGS",
		"broken/cas-begins-anew":              "Kcurrent_cas 1/",
		"broken/cas-one-too-low":              "$((cas - 2))",
		"broken/claims-deleted-with-scale":    `"whenScaled":"Delete"`,
		"broken/commands-disabled-persistent": `"MEMCACHED_ARGS","value":"-F -C"`,
		"broken/downtime-not-counted":         "Kstop_time $(($(date +%s) - 2))/",
		"broken/epoch-moved":                  "Kprocess_started $((started + 100))/",
		"broken/flush-forgotten":              "Koldest_live 0/",
		"broken/host-port-persistent":         `"hostPort":31212`,
		"broken/memory-file-grows-persistent": "truncate -s +4K",
		"broken/memory-file-kept":             "cp --sparse=always",
		"broken/memory-limit-halved":          `"MEMCACHED_ARGS","value":"-m 90"`,
		"broken/refuses-when-full-persistent": `"MEMCACHED_ARGS","value":"-M"`,
		"broken/runs-as-root":                 `"runAsUser":0`,
		"broken/sparse-memory-file":           `truncate -s \"$size\"`,
		"broken/grace-too-short":              `"terminationGracePeriodSeconds":1,`,
		"broken/memory-file-made-anew":        "rm -f /data/memcached-memory-file",
		"broken/new-pod-cold":                 "/data/pod-uid",
		"broken/newer-state-accepted":         "/a Koldest_cas 0",
		"broken/no-room-for-state":            "head -c 1048576 /dev/zero",
		"broken/shutdown-allowed":             `"MEMCACHED_ARGS","value":"-A"`,
		"broken/slab-automove":                `"MEMCACHED_ARGS","value":"-o slab_automove=1"`,
		"broken/state-file-kept":              "cp -p /data/kept",
		"broken/state-file-unguarded":         "trap 'kill -USR1 $pid; wait $pid' TERM",
		"broken/stop-delayed":                 "sleep 30; kill -TERM",
		"broken/stop-not-awaited":             "trap 'kill -USR1 $!; exit 0' TERM",
	} {
		t.Run(dir, func(t *testing.T) {
			m, err := deploy.Load("../../testdata/"+dir, deploy.Changes{})
			if err != nil {
				t.Fatal(err)
			}
			base, err := deploy.Load("../../../manifests/persistent", deploy.Changes{})
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

// TestOverlays makes sure that each overlay in testdata still renders and still
// has its one change, so that it fails a spec for the reason it names.
func TestOverlays(t *testing.T) {
	tests := []struct {
		dir, kind string
		changed   func(*deploy.Manifest) bool
	}{
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
		{"broken/runs-as-root-ephemeral", "Deployment", func(m *deploy.Manifest) bool { return strings.Contains(text(t, m), `"runAsUser":0`) }},
		{"broken/wrong-service-port", "Deployment", func(m *deploy.Manifest) bool {
			ports, _ := object(m, "Service")["spec"].(map[string]any)["ports"].([]any)
			return len(ports) == 1 && ports[0].(map[string]any)["targetPort"] == int64(11212)
		}},
		{"broken/wrong-service-port-persistent", "StatefulSet", func(m *deploy.Manifest) bool {
			ports, _ := object(m, "Service")["spec"].(map[string]any)["ports"].([]any)
			return len(ports) == 1 && ports[0].(map[string]any)["targetPort"] == int64(11212)
		}},
		{"broken/volume-of-the-pod", "StatefulSet", func(m *deploy.Manifest) bool {
			v, err := m.Volume()
			return err == nil && v.Source == deploy.Inline && v.Size.String() == "200Mi"
		}},
		{"broken/items-flushed", "Deployment", func(m *deploy.Manifest) bool { return len(containers(m)) == 2 }},
		{"broken/slow-on-persistent-memory", "Deployment", func(m *deploy.Manifest) bool {
			c := command(m)
			return len(c) == 3 && strings.Contains(c[2].(string), "tmpfs")
		}},
		{"broken/inline-without-dax", "Deployment", func(m *deploy.Manifest) bool { return podSpec(m).Volumes[0].CSI.VolumeAttributes["usage"] == "FileIO" }},
		{"broken/never-evicted", "Deployment", func(m *deploy.Manifest) bool {
			one, err := deploy.Load("../../testdata/broken/never-evicted", deploy.Changes{Replicas: 1})
			return err == nil && object(one, "PodDisruptionBudget") != nil && object(m, "PodDisruptionBudget") != nil
		}},
		{"broken/refuses-when-full", "Deployment", func(m *deploy.Manifest) bool { return m.MemcachedArgs() == "-M" }},
		{"broken/commands-disabled", "Deployment", func(m *deploy.Manifest) bool { return m.MemcachedArgs() == "-F -C" }},
		{"broken/listens-on-udp", "Deployment", func(m *deploy.Manifest) bool { return m.MemcachedArgs() == "-U 11211" }},
		{"broken/memory-file-grows", "Deployment", runs("truncate -s +4K")},
		{"broken/starts-once", "Deployment", runs("mkdir /data/started")},
		{"broken/starts-once-persistent", "StatefulSet", runs("mkdir /data/started")},
		{"broken/falls-silent", "Deployment", runs("kill -s STOP")},
		{"broken/stop-ignored", "Deployment", runs("ephemeral; exit 1")},
		{"broken/saves-state", "Deployment", runs("persistent")},
		{"broken/no-readiness-probe", "Deployment", func(m *deploy.Manifest) bool {
			return podSpec(m).Containers[0].ReadinessProbe == nil && runs("sleep 20")(m)
		}},
		{"broken/ballast", "Deployment", initRuns("/data/ballast")},
		{"broken/published-before-ready", "Deployment", service("publishNotReadyAddresses", true)},
		{"broken/external-address", "Deployment", service("externalIPs", []any{"192.0.2.1"})},
		{"broken/hook-before-stop", "Deployment", func(m *deploy.Manifest) bool {
			return podSpec(m).Containers[0].Lifecycle.PreStop.Sleep.Seconds == 25 && *podSpec(m).TerminationGracePeriodSeconds == 120
		}},
		{"broken/flushed-before-stop", "StatefulSet", func(m *deploy.Manifest) bool {
			return strings.Contains(podSpec(m).Containers[0].Lifecycle.PreStop.Exec.Command[2], "flush_all")
		}},
		{"broken/stop-takes-a-minute", "Deployment", runs("trap 'sleep 60; kill -TERM")},
		{"broken/ready-too-early", "Deployment", func(m *deploy.Manifest) bool {
			return podSpec(m).Containers[0].ReadinessProbe.Exec.Command[0] == "true" && runs("sleep 20")(m)
		}},
		{"broken/never-ends", "Deployment", func(m *deploy.Manifest) bool {
			return runs("trap '' TERM")(m) && *podSpec(m).TerminationGracePeriodSeconds == 240
		}},
		{"broken/never-ends-persistent", "StatefulSet", func(m *deploy.Manifest) bool {
			return runs("trap '' TERM")(m) && *podSpec(m).TerminationGracePeriodSeconds == 240
		}},
		{"broken/power-cut-fatal", "StatefulSet", runs("random/boot_id")},
		{"broken/sparse-memory-file-ephemeral", "Deployment", initRuns("truncate -s \"$size\"")},
		{"broken/init-silent", "Deployment", initRuns("2>/dev/null")},
		{"broken/init-failure-ignored", "Deployment", initRuns("; true")},
		{"broken/host-port", "Deployment", func(m *deploy.Manifest) bool { return podSpec(m).Containers[0].Ports[0].HostPort == 31211 }},
		{"broken/needs-host-namespaces", "Deployment", func(m *deploy.Manifest) bool { return podSpec(m).HostPID }},
		{"broken/claim-shared", "Deployment", func(m *deploy.Manifest) bool {
			v, err := m.Volume()
			return err == nil && v.Source == deploy.Claim && v.Claim == "shared" && v.Size.String() == "200Mi"
		}},
		{"broken/claim-shared-persistent", "StatefulSet", func(m *deploy.Manifest) bool {
			v, err := m.Volume()
			return err == nil && v.Source == deploy.Claim && v.Claim == "shared" && v.Size.String() == "200Mi"
		}},
	}
	for _, tt := range tests {
		t.Run(tt.dir, func(t *testing.T) {
			m, err := deploy.Load("../../testdata/"+tt.dir, deploy.Changes{})
			if err != nil {
				t.Fatal(err)
			}
			if m.Kind != tt.kind || !tt.changed(m) {
				t.Errorf("the overlay does not change %s %s as intended", m.Kind, m.Name)
			}
		})
	}
}

// podSpec is that of the workload's pods.
func podSpec(m *deploy.Manifest) corev1.PodSpec {
	var d appsv1.Deployment
	for _, o := range m.Objects {
		if o.GetKind() == m.Kind && o.GetName() == m.Name {
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &d); err != nil {
				panic(err)
			}
		}
	}
	return d.Spec.Template.Spec
}

func runs(text string) func(*deploy.Manifest) bool {
	return func(m *deploy.Manifest) bool {
		return strings.Contains(strings.Join(podSpec(m).Containers[0].Command, " "), text)
	}
}

// service reports whether the Service has a field with a value.
func service(field string, value any) func(*deploy.Manifest) bool {
	return func(m *deploy.Manifest) bool {
		spec, _ := object(m, "Service")["spec"].(map[string]any)
		return reflect.DeepEqual(spec[field], value)
	}
}

func initRuns(text string) func(*deploy.Manifest) bool {
	return func(m *deploy.Manifest) bool {
		return strings.Contains(strings.Join(podSpec(m).InitContainers[0].Command, " "), text)
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
