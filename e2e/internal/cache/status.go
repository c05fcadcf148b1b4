package cache

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
)

// Killed is the exit code of what SIGKILL has ended.
const Killed int32 = 137

// Status is what the kubelet reports about the container memcached.
func Status(p *corev1.Pod) corev1.ContainerStatus {
	for _, s := range p.Status.ContainerStatuses {
		if s.Name == deploy.Container {
			return s
		}
	}
	return corev1.ContainerStatus{}
}

// Restarts counts the restarts of memcached in its pod, with the reason of the
// last one.
func Restarts(p *corev1.Pod) string {
	return fmt.Sprintf("%d restarts, %s", Status(p).RestartCount, LastEnd(p))
}

// LastEnd is how the instance of memcached before the current one ended.
func LastEnd(p *corev1.Pod) string {
	if t := Status(p).LastTerminationState.Terminated; t != nil {
		return End(t)
	}
	return "never ended"
}

// End is how an instance of memcached ended.
func End(t *corev1.ContainerStateTerminated) string {
	return fmt.Sprintf("ended by %s with exit code %d", t.Reason, t.ExitCode)
}

// LastExit is the exit code of the instance of memcached before the current
// one; -1 without one.
func LastExit(p *corev1.Pod) int32 {
	if t := Status(p).LastTerminationState.Terminated; t != nil {
		return t.ExitCode
	}
	return -1
}

// Success is [Ended] of a command with exit code 0.
const Success = "exit code 0"

// Ended is how a command ended: [Success], or its exit code and error output.
func Ended(r cluster.ExecResult) string {
	if r.ExitCode == 0 {
		return Success
	}
	return fmt.Sprintf("exit code %d: %s", r.ExitCode, r.Stderr)
}
