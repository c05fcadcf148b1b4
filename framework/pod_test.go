package framework

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestRemoval(t *testing.T) {
	deleted := &metav1.Time{Time: time.Unix(1, 0)}
	running := corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	ended := corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}
	tests := map[string]struct {
		deleted  *metav1.Time
		statuses []corev1.ContainerStatus
		unmounts bool
	}{
		"ended, but not deleted":      {nil, []corev1.ContainerStatus{ended}, false},
		"a container runs":            {deleted, []corev1.ContainerStatus{ended, running}, false},
		"no container was started":    {deleted, nil, false},
		"deleted, and none runs":      {deleted, []corev1.ContainerStatus{ended, ended}, true},
		"deleted, and one never runs": {deleted, []corev1.ContainerStatus{ended, {}}, true},
	}
	for name, test := range tests {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: test.deleted}, Status: corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: test.statuses}}
		if got := removal(p); !strings.HasPrefix(got, "Failed") || strings.Contains(got, "unmounted") != test.unmounts {
			t.Errorf("%s: %q", name, got)
		}
	}
}
