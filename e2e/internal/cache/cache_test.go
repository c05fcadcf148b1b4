package cache

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/probe"
)

func TestListing(t *testing.T) {
	now := time.Unix(1000, 0)
	before := Listing{
		"few-1":  {Expires: -1, CAS: 1, Size: 10},
		"few-2":  {Expires: 900, CAS: 2, Size: 10},
		"few-":   {Expires: 1100, CAS: 3, Size: 10},
		"bulk-1": {Expires: 1010, CAS: 4, Size: 10},
		"bulk-2": {Expires: 1001, CAS: 5, Size: 10},
	}
	if got, want := before.Keys("few-"), []string{"few-1", "few-2"}; !slices.Equal(got, want) {
		t.Errorf("Keys: %q, want %q", got, want)
	}
	if got := before.Next(now); got != "bulk-1" {
		t.Errorf("Next: %q, want bulk-1", got)
	}
	after := Listing{
		"few-1":  {CAS: 7, Size: 10},
		"few-":   {CAS: 3, Size: 11},
		"bulk-3": {CAS: 8},
	}
	want := []string{"bulk-1 is missing", "bulk-3 was not there before", "few- has 11 bytes, not 10", "few-1 has CAS id 7, not 1"}
	if got := before.Differences(after, now); !slices.Equal(got, want) {
		t.Errorf("Differences: %q, want %q", got, want)
	}
	if got := before.Differences(before, now); len(got) > 0 {
		t.Errorf("Differences from itself: %q", got)
	}
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		wrong []string
		want  string
	}{
		{nil, ""},
		{[]string{"a is a miss"}, "1: a is a miss"},
		{[]string{"a", "b", "c", "d", "e", "f"}, "6: a, b, c, d, e, …"},
	} {
		if got := Faults(tt.wrong); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.wrong, got, tt.want)
		}
	}
}

func TestStatus(t *testing.T) {
	p := &corev1.Pod{}
	if got := Restarts(p); got != "0 restarts, never ended" || LastExit(p) != -1 {
		t.Errorf("no status: %q, exit code %d", got, LastExit(p))
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "other", RestartCount: 7}, {
		Name: deploy.Container, RestartCount: 1,
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: Killed}},
	}}
	if got := Restarts(p); got != "1 restarts, ended by OOMKilled with exit code 137" || LastExit(p) != Killed {
		t.Errorf("after a lack of memory: %q, exit code %d", got, LastExit(p))
	}
}

func TestEnded(t *testing.T) {
	if got := Ended(cluster.ExecResult{Stderr: "a warning"}); got != Success {
		t.Errorf("exit code 0: %q", got)
	}
	if got := Ended(cluster.ExecResult{ExitCode: 3, Stderr: "no such file"}); got != "exit code 3: no such file" {
		t.Errorf("exit code 3: %q", got)
	}
}

func TestUndeclared(t *testing.T) {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Name: deploy.Container, Ports: []corev1.ContainerPort{{ContainerPort: 11211, Protocol: corev1.ProtocolTCP}}},
		{Name: "exporter", Ports: []corev1.ContainerPort{{ContainerPort: 9150, Protocol: corev1.ProtocolTCP}}},
	}}}
	all := []probe.Socket{{Protocol: "tcp", Port: 11211}, {Protocol: "tcp", Port: 9150}, {Protocol: "udp", Port: 9150}, {Protocol: "tcp", Port: 1}}
	if got := undeclared(all, p); !slices.Equal(got, []probe.Socket{all[0], all[2], all[3]}) {
		t.Errorf("left %v", got)
	}
}

func TestMissingPrograms(t *testing.T) {
	for line, want := range map[string]bool{
		"/scripts/data-volume-init.sh: 12: fallocate: not found": true,
		"sh: xargs: not found":                                                          true,
		"bash: line 1: fallocate: command not found":                                    true,
		"[restart] no metadata save file, starting with a clean cache":                  false,
		"memcached-wrapper.sh: starting memcached with 160 MiB in /data/memcached-file": false,
		"the key was not found":                                                         false,
	} {
		if got := len(MissingPrograms("first line\n"+line+"\n")) == 1; got != want {
			t.Errorf("%s: %t, want %t", line, got, want)
		}
	}
}
