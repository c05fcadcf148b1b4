package deploy

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/wait"
)

// TestNeverEnds has pods that are still there after their deployment was scaled to 0.
func TestNeverEnds(t *testing.T) {
	now := time.Now()
	node := func(ready corev1.ConditionStatus) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "worker"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: ready, Message: "no heartbeat"}}}}
	}
	stopping := func(deadline time.Duration, state corev1.ContainerState, finalizers ...string) corev1.Pod {
		p := pod("cache-0", corev1.PodRunning, false, corev1.ContainerStatus{Name: Container, State: state})
		p.DeletionTimestamp = &metav1.Time{Time: now.Add(deadline)}
		p.Namespace, p.Finalizers, p.Spec.NodeName = "n", finalizers, "worker"
		return p
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
	for _, test := range []struct {
		name string
		pod  corev1.Pod
		node *corev1.Node
		want fault.Kind
		says string
	}{
		{"it ignores SIGTERM for a long grace period", stopping(time.Hour, running), node(corev1.ConditionTrue), fault.Deployment, "waited"},
		{"a finalizer of its own holds it", stopping(-time.Minute, ended, "example.com/keep"), node(corev1.ConditionTrue), fault.Deployment, "waited"},
		{"its node is gone", stopping(-time.Minute, running), node(corev1.ConditionUnknown), fault.Infrastructure, "node worker is not Ready: no heartbeat"},
		{"its volume cannot be unmounted", stopping(time.Minute, ended), node(corev1.ConditionTrue), fault.Infrastructure, "have ended, and the kubelet has not removed it"},
		{"it cannot be killed", stopping(-time.Minute, running), node(corev1.ConditionTrue), fault.Infrastructure, "the kubelet has not killed container memcached"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, _ := deployment(t)
			labels, err := metav1.ParseToLabelSelector(d.selector.String())
			if err != nil {
				t.Fatal(err)
			}
			test.pod.Labels = labels.MatchLabels
			d, _ = deployment(t, &test.pod, test.node)
			err = d.unended(t.Context(), &wait.TimeoutError{What: "the pods to be gone", Limit: time.Minute})
			if fault.Of(err) != test.want || !strings.Contains(err.Error(), test.says) {
				t.Errorf("judged %d, want %d: %v", fault.Of(err), test.want, err)
			}
		})
	}
	d, _ := deployment(t)
	if err := d.unended(t.Context(), nil); err != nil {
		t.Errorf("pods that have ended: %v", err)
	}
}
