package framework

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/framework/report"
)

// countPods counts the pods of a namespace until the spec has ended.
func (e *Env) countPods(namespace string) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Cluster.WatchPods(ctx, namespace, func(p *corev1.Pod) { e.Cluster.Tally.Pod(ctx, p.UID) })
	}()
	e.watches = append(e.watches, func() {
		cancel()
		<-done
	})
}

// work is what was asked of the cluster since the spec began.
func (e *Env) work() *report.Work {
	for _, end := range e.watches {
		end()
	}
	e.watches = nil
	work := e.Cluster.Tally.Now().Since(e.before)
	return &work
}
