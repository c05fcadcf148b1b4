package deploy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ktesting "k8s.io/client-go/testing"

	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/wait"
)

// TestWhoseFault makes sure that a deployment that does not become ready is distinguished from an API server that
// does not answer and from a driver that is not there.
func TestWhoseFault(t *testing.T) {
	none, _ := deployment(t)
	labels, err := metav1.ParseToLabelSelector(none.selector.String())
	if err != nil {
		t.Fatal(err)
	}
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "pmem-memcached", UID: "set"}}
	mounting := pod("cache-0", corev1.PodPending, false)
	mounting.Namespace, mounting.Labels = "n", labels.MatchLabels
	failedMount := event("FailedMount", "rpc error: no answer", "cache-0")
	failedMount.Namespace, failedMount.Name, failedMount.UID, failedMount.Type = "n", "failed", "failed", corev1.EventTypeWarning
	failedMount.InvolvedObject.UID = mounting.UID
	driver := func(ready corev1.ConditionStatus) *corev1.Pod {
		label, value, _ := strings.Cut(pmem.NodeDriverSelector, "=")
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "pmem-csi", Name: "node", Labels: map[string]string{label: value}},
			Spec:       corev1.PodSpec{NodeName: "worker", Containers: []corev1.Container{{Name: pmem.NodeDriverContainer}}},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
		}
	}
	crashed := pod("cache-0", corev1.PodRunning, false, waiting("CrashLoopBackOff", "back-off", 3))
	crashed.Namespace, crashed.Labels = "n", labels.MatchLabels
	for _, test := range []struct {
		name    string
		objects []runtime.Object
		err     error // of the API server
		want    fault.Kind
		says    string
	}{
		{"no pod in time", []runtime.Object{set}, nil, fault.Deployment, "waited"},
		{"crash loop", []runtime.Object{set, &crashed}, nil, fault.Deployment, "has ended 3 times"},
		{"mount fails", []runtime.Object{set, &mounting, &failedMount, driver(corev1.ConditionTrue)}, nil, fault.Deployment, "no answer"},
		{"mount fails without the driver", []runtime.Object{set, &mounting, &failedMount, driver(corev1.ConditionFalse)}, nil, fault.Infrastructure, "meanwhile the driver was not Ready"},
		{"API server unavailable", []runtime.Object{set}, apierrors.NewServiceUnavailable("starting"), fault.Infrastructure, "starting"},
		{"forbidden", []runtime.Object{set}, apierrors.NewForbidden(schema.GroupResource{Resource: "statefulsets"}, "cache", errors.New("no")), fault.Infrastructure, "ended after"},
		{"removed by somebody", nil, nil, fault.Infrastructure, "not found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, client := deployment(t, test.objects...)
			d.waiter = wait.Waiter{Interval: time.Millisecond, Final: fault.Lasting, Scale: wait.Scale{All: 0.0005, ByName: map[wait.Name]float64{wait.DeploymentReady: 0.002}}}
			if test.err != nil {
				client.PrependReactor("get", "statefulsets", func(ktesting.Action) (bool, runtime.Object, error) { return true, nil, test.err })
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := d.Ready(ctx)
			if err == nil || fault.Of(err) != test.want || !strings.Contains(err.Error(), test.says) {
				t.Errorf("judged %d, want %d, with %q in\n%v", fault.Of(err), test.want, test.says, err)
			}
		})
	}
}
