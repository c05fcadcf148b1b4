package deploy

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/wait"
)

// MemcachedContainer is the container of memcached in a pod, and zero in a pod
// that has none.
func MemcachedContainer(pod corev1.PodSpec) corev1.Container {
	for _, c := range pod.Containers {
		if c.Name == Container {
			return c
		}
	}
	return corev1.Container{}
}

// dialLimit bounds an attempt to have an answer.
const dialLimit = 10 * time.Second

// AwaitAnswer waits until memcached answers in a Ready pod without a readiness
// probe, of which Ready says no more than that its processes were started.
// With a probe there is nothing to wait for.
func AwaitAnswer(ctx context.Context, c *cluster.Cluster, w wait.Waiter, pod *corev1.Pod) error {
	if container := MemcachedContainer(pod.Spec); container.Name == "" || container.ReadinessProbe != nil {
		return nil
	}
	what := fmt.Sprintf("memcached to answer in pod %s/%s, which has no readiness probe", pod.Namespace, pod.Name)
	return w.Until(ctx, wait.MemcachedUp, what, func(ctx context.Context) (bool, string, error) {
		// A refused connection ends the whole forward.
		f, err := c.ForwardPod(ctx, pod.Namespace, pod.Name, Port(pod))
		if err != nil {
			return false, "", err
		}
		defer f.Close()
		limited, cancel := context.WithTimeout(ctx, dialLimit)
		defer cancel()
		client, err := memcached.Dial(limited, f.Addr)
		if err = f.Judge(ctx, err); fault.Of(err) == fault.Deployment {
			return false, err.Error(), nil
		}
		if err != nil {
			return false, "", err
		}
		return true, "it answers", client.Close()
	})
}
