package workload

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"pmem-memcached-e2e/framework/deploy"
)

func TestBound(t *testing.T) {
	for _, tt := range []struct{ written, changed, want, remark string }{
		{"200Mi", "0", "0", ""},
		{"2Gi", "0", "0", ""},
		{"1Ti", "0", "2Gi", "the volume has 1Ti as written, and is examined with 2Gi"},
		{"1Ti", "600Mi", "600Mi", "the volume has 1Ti as written, and is examined with 600Mi"},
		{"600Mi", "600Mi", "600Mi", ""},
	} {
		ch, remark := bound(resource.MustParse(tt.written), deploy.Changes{Namespace: "n", VolumeSize: resource.MustParse(tt.changed)})
		if got := ch.VolumeSize.String(); got != tt.want || remark != tt.remark || ch.Namespace != "n" {
			t.Errorf("%s, changed to %s: %s, %q, want %s, %q", tt.written, tt.changed, got, remark, tt.want, tt.remark)
		}
	}
}

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
