package traffic

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"pmem-memcached-e2e/framework/deploy"
)

func TestEndIn(t *testing.T) {
	pod := func(uid, container string, state, last corev1.ContainerState) corev1.Pod {
		var p corev1.Pod
		p.Namespace, p.Name, p.UID = "n", "p", types.UID(uid)
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: deploy.Container, ContainerID: container, State: state, LastTerminationState: last}}
		return p
	}
	var none corev1.ContainerState
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	ended := func(code int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: code}}
	}
	const died = "memcached of pod n/p ended by Error with exit code 139 meanwhile"
	for name, test := range map[string]struct {
		before, now corev1.Pod
		want        string
	}{
		"runs":                            {pod("1", "a", running, none), pod("1", "a", running, none), ""},
		"runs, and ended before":          {pod("1", "b", running, ended(139)), pod("1", "b", running, ended(139)), ""},
		"has just ended":                  {pod("1", "a", running, none), pod("1", "a", ended(139), none), died},
		"has ended and waits":             {pod("1", "a", running, none), pod("1", "a", waiting, ended(139)), died},
		"has ended and runs again":        {pod("1", "a", running, none), pod("1", "b", running, ended(139)), died},
		"has ended twice":                 {pod("1", "b", running, ended(1)), pod("1", "c", ended(139), ended(1)), died},
		"another pod is there":            {pod("1", "a", running, none), pod("2", "b", ended(139), none), ""},
		"the kubelet has not reported it": {pod("1", "a", running, none), pod("1", "b", running, none), ""},
	} {
		if got := endIn([]corev1.Pod{test.now}, runningIn([]corev1.Pod{test.before})); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
