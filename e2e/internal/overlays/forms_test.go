package overlays

import (
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/framework/deploy"
)

// TestForms renders deployments as people have them. README.md of e2e names the specs that show them on a cluster.
func TestForms(t *testing.T) {
	port := func(m *deploy.Manifest) int {
		return deploy.Port(&corev1.Pod{ObjectMeta: m.Template().ObjectMeta, Spec: m.Template().Spec})
	}
	for dir, right := range map[string]func(m *deploy.Manifest) bool{
		"subpath": func(m *deploy.Manifest) bool {
			p := &corev1.Pod{Spec: m.Template().Spec}
			p.Name = m.Name + "-0"
			stand := m.Stand(p, "s-", deploy.MemcachedContainer(p.Spec)).Spec.Containers[0]
			return stand.VolumeMounts[0].SubPathExpr == "$(POD_NAME)" && stand.Env[1].Value == p.Name
		},
		"several-services": func(m *deploy.Manifest) bool { return m.Service == "pmem-memcached" && m.ServicePort == 11211 },
		"replicas-ephemeral": func(m *deploy.Manifest) bool {
			return m.Replicas() == 1 && len(m.Adjusted) == 3 && !strings.Contains(text(t, m), "Autoscaler") && !strings.Contains(text(t, m), "DisruptionBudget")
		},
		"replicas-persistent": func(m *deploy.Manifest) bool {
			return m.Replicas() == 1 && m.FirstOrdinal() == 7 && len(m.Adjusted) == 1
		},
		"exporter":   func(m *deploy.Manifest) bool { return port(m) == 11211 && m.Image() != "" },
		"dual-stack": func(m *deploy.Manifest) bool { return m.ServicePort == 11211 },
		"own-namespace": func(m *deploy.Manifest) bool {
			return m.Namespace == "n" && m.Home.Labels["team"] == "caches" && m.Home.Annotations["example.com/owner"] == "caches"
		},
		"own-class": func(m *deploy.Manifest) bool {
			return m.Template().Spec.PriorityClassName == "before-batch-n" && m.Companion("c-").Spec.ServiceAccountName == "cache" && len(m.Prerequisites()) == 2
		},
		"settings-elsewhere": func(m *deploy.Manifest) bool { return port(m) == 11300 && m.MemcachedArgs() == "-p 11300 -I 2m" },
		"quota": func(m *deploy.Manifest) bool {
			r := m.Companion("c-", corev1.Container{Name: "c"}).Spec.Containers[0].Resources
			return len(r.Requests) == 2 && len(r.Limits) == 2
		},
		"sidecar": func(m *deploy.Manifest) bool { return len(m.InitContainers()) == 2 },
		"two-claims": func(m *deploy.Manifest) bool {
			v, err := m.Volume()
			return err == nil && v.Name == "memcached-data-volume"
		},
		"pull-secret": func(m *deploy.Manifest) bool { return len(m.Prerequisites()) == 2 },
		"absent-claim": func(m *deploy.Manifest) bool {
			return len(m.Missing()) == 1 && m.Missing()[0].Name == "of-another-team"
		},
	} {
		t.Run(dir, func(t *testing.T) {
			m, err := deploy.Load("../../testdata/forms/"+dir, deploy.Changes{Namespace: "n", Replicas: 1})
			if err != nil {
				t.Fatal(err)
			}
			if dir != "absent-claim" && len(m.Missing()) > 0 {
				t.Errorf("it lacks %v", m.Missing())
			}
			if !right(m) {
				t.Errorf("adjusted %q:\n%s", m.Adjusted, text(t, m))
			}
		})
	}
	entries, err := os.ReadDir("../../testdata/forms")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.Contains(string(readme), "` `"+e.Name()+"` |") {
			t.Errorf("the table of e2e/README.md lacks %s", e.Name())
		}
	}
}
