package deploy

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ktesting "k8s.io/client-go/testing"
)

func TestTemplate(t *testing.T) {
	for want, change := range map[string]func(*Deployment, context.Context) error{
		`{"spec":{"template":{"spec":{"containers":[{"args":["memcached","--memory-file=/cache/file","-t","2"],"name":"memcached"}]}}}}`: func(d *Deployment, ctx context.Context) error { return d.AddArgs(ctx, "-t 2") },
		`{"spec":{"template":{"spec":{"containers":[{"env":[{"name":"MEMCACHED_ARGS","value":"-v -t 2","valueFrom":null}],"name":"memcached"}]}}}}`: func(d *Deployment, ctx context.Context) error {
			d.template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: ArgsVariable, Value: "-v"}}
			return d.AddArgs(ctx, "-t 2")
		},
		`{"spec":{"template":{"spec":{"containers":[{"image":"memcached:2","name":"memcached"}]}}}}`: func(d *Deployment, ctx context.Context) error { return d.SetImage(ctx, "memcached:2") },
		`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":`:       (*Deployment).Restart,
	} {
		d, client := deployment(t)
		set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name}}
		if err := client.Tracker().Add(set); err != nil {
			t.Fatal(err)
		}
		// No controller makes pods, so that the wait for them ends in an error.
		err := change(d, t.Context())
		if err == nil || !strings.Contains(err.Error(), "to be ready") {
			t.Errorf("%v, want to have waited for the pods", err)
		}
		var got string
		for _, a := range client.Actions() {
			if p, ok := a.(ktesting.PatchAction); ok {
				got = string(p.GetPatch())
			}
		}
		if !strings.HasPrefix(got, want) || !json.Valid([]byte(got)) {
			t.Errorf("patch %s, want %s", got, want)
		}
	}
	d, _ := deployment(t)
	if err := d.AddArgs(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "adding arguments of StatefulSet n/") {
		t.Errorf("without a workload: %v", err)
	}
}
