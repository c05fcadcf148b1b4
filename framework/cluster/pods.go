package cluster

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"pmem-memcached-e2e/framework/fault"
)

// rewatchPause is between the end of a watch and the beginning of the next.
const rewatchPause = time.Second

// WatchPods calls changed for every pod of a namespace that is there or comes, and whenever one changes, until ctx ends
// or the API server does not allow it. Some changes may be left out.
func (c *Cluster) WatchPods(ctx context.Context, namespace string, changed func(*corev1.Pod)) {
	for {
		// Without a version all pods that are there come first.
		w, err := c.Client.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{})
		if err == nil {
			follow(ctx, w, func(event watch.Event) {
				if pod, ok := event.Object.(*corev1.Pod); ok {
					changed(pod)
				}
			})
		} else if fault.Lasting(err) {
			return
		}
		pause := time.NewTimer(rewatchPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}
