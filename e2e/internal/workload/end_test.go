package workload

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestStopBegan(t *testing.T) {
	start := time.Unix(1000, 700_000_000)
	killing := func(second int64, container string) corev1.Event {
		return corev1.Event{LastTimestamp: metav1.Unix(second, 0), InvolvedObject: corev1.ObjectReference{FieldPath: "spec.containers{" + container + "}"}}
	}
	for name, tt := range map[string]struct {
		events []corev1.Event
		want   int64 // 0: not seen
	}{
		"none":                     {nil, 0},
		"of another container":     {[]corev1.Event{killing(1001, "exporter")}, 0},
		"of an earlier restart":    {[]corev1.Event{killing(990, "memcached")}, 0},
		"within the second before": {[]corev1.Event{killing(990, "memcached"), killing(1000, "memcached")}, 1000},
		"next to another":          {[]corev1.Event{killing(1001, "exporter"), killing(1002, "memcached")}, 1002},
	} {
		began, ok := stopBegan(tt.events, start)
		if ok != (tt.want != 0) || ok && began.Unix() != tt.want {
			t.Errorf("%s: %v, %t, want second %d", name, began, ok, tt.want)
		}
	}
}
