package workload

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestReadiness(t *testing.T) {
	for _, tt := range []struct {
		condition corev1.PodCondition
		want      string
	}{
		{corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue}, Ready},
		{corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady", Message: "memcached"}, "not Ready: ContainersNotReady memcached"},
		{corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, "not Ready: no such condition"},
	} {
		p := &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{tt.condition}}}
		if got := Readiness(p); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.condition, got, tt.want)
		}
	}
}
