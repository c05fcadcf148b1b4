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

func TestOnlyOf(t *testing.T) {
	p := &corev1.Pod{Status: corev1.PodStatus{PodIP: "10.0.0.7", PodIPs: []corev1.PodIP{{IP: "10.0.0.7"}, {IP: "fd00::7"}}}}
	for _, tt := range []struct {
		addresses []string
		want      bool
	}{
		{nil, false}, {[]string{"10.0.0.7"}, true}, {[]string{"fd00::7"}, true}, {[]string{"10.0.0.7", "fd00::7"}, true},
		{[]string{"10.0.0.8"}, false}, {[]string{"10.0.0.7", "fd00::8"}, false},
	} {
		if got := OnlyOf(p, tt.addresses); got != tt.want {
			t.Errorf("%v: %t, want %t", tt.addresses, got, tt.want)
		}
	}
}
