package deploy_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/deploy/deploytest"
)

func TestStartsShell(t *testing.T) {
	bare := strings.Replace(deploytest.Inline, "command: [sh, /scripts/memcached-wrapper.sh, ephemeral]", "args: [-e, /data/file]", 1)
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"a wrapper":                {deploytest.Inline, true},
		"no command":               {bare, false},
		"memcached itself":         {strings.Replace(bare, "args: [-e, /data/file]", "command: [memcached, -e, /data/file]", 1), false},
		"its image in preparation": {strings.Replace(bare, `image: "memcached:1"}`, `image: "memcached:1", command: [/bin/bash, -c, "true"]}`, 1), true},
		"another in preparation":   {strings.Replace(bare, `image: "memcached:1"}`, `image: "busybox:1", command: [sh, -c, "true"]}`, 1), false},
	} {
		if got := deploytest.Load(t, "server", tt.text).StartsShell(); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
}

// TestChooseHelper has an image of memcached without a shell, one that cannot be pulled, and one that can be used.
func TestChooseHelper(t *testing.T) {
	m := deploytest.Load(t, "server", strings.Replace(deploytest.Inline, `image: "memcached:1"}`, `image: "tools:1"}`, 1))
	if got, want := m.Images(), []string{"memcached:1", "tools:1"}; !slices.Equal(got, want) {
		t.Fatalf("images %q, want %q", got, want)
	}
	p := m.HelperProbe([]string{"memcached:1", "elsewhere:1", "tools:1", "driver:1"})
	if len(p.Spec.Tolerations) != 1 || len(p.Spec.Containers) != 4 {
		t.Fatalf("%+v", p.Spec)
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{
		{Name: "image-3", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}},
		{Name: "image-0", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 128, Reason: "StartError"}}},
		{Name: "image-1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}}},
	}
	if deploy.HelperProbed(p) {
		t.Error("a container without a status has been probed")
	}
	p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: "image-2", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
	if deploy.HelperProbed(p) {
		t.Error("a container that runs has been probed")
	}
	if got, ok := deploy.ChooseHelper(p); !ok || got != "driver:1" {
		t.Errorf("chose %q, %t", got, ok)
	}
	p.Status.ContainerStatuses[3].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
	if got, ok := deploy.ChooseHelper(p); !deploy.HelperProbed(p) || !ok || got != "tools:1" {
		t.Errorf("probed %t, chose %q, %t", deploy.HelperProbed(p), got, ok)
	}
	p.Status.ContainerStatuses = p.Status.ContainerStatuses[1:3]
	if got, ok := deploy.ChooseHelper(p); ok {
		t.Errorf("chose %q, of which nothing is known", got)
	}
}
