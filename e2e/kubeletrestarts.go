package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/stock"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "RST-60", Title: "a restart in the pod is warm after a failed liveness probe, and cold after a lack of memory",
	Covers: []spec.ReqID{"RST-14", "RST-60", "RST-65"},
	Level:  spec.Must, Profile: spec.Persistent, Tags: []string{"restart", "crash"}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	ch := deploy.Changes{Namespace: e.Namespace, MemoryLimit: *resource.NewQuantity(tightLimit, resource.BinarySI)}
	d := e.Deploy(ctx, "RST-60", workload.Bounded(e, spec.Persistent, ch))
	p := workload.Pod(ctx, e, d)
	unwell := cache.Inspect(ctx, e, "RST-60", p).File.Path + ".unwell"
	first, second := stock.Of("first"), stock.Of("second")
	stock.StoreIn(ctx, e, p, first)
	e.Step("give the container a liveness probe")
	workload.Comes(e, "RST-60", d, d.SetLivenessProbe(ctx, failsOnce(unwell)))

	p = workload.Pod(ctx, e, d)
	name := framework.Name("pod", p)
	// The first restart can come within the second of the stop; before the next one the kubelet waits.
	for gap := time.Duration(0); gap < time.Second; {
		stock.StoreIn(ctx, e, p, first)
		e.Step("make the liveness probe fail")
		p = workload.RestartInPlace(ctx, e, "RST-60", p, `touch "$1"`, unwell)
		gap = downFor(p)
		check, want := "after a restart within the second of its stop all items are served or none", stock.AllOrNone()
		if gap >= time.Second {
			check, want = "after a restart by the liveness probe every item is served", stock.All()
		}
		e.Expect("RST-60", check, name, stock.ServedBy(ctx, e, p, first).After(fmt.Sprintf("%s, down for %s", cache.LastEnd(p), gap)), want)
	}

	e.Step("let the container reach its memory limit after a change")
	changed := memcached.Item{Key: first[1].Key, Value: []byte("changed")}
	stock.StoreIn(ctx, e, p, append(second, changed))
	p, err := workload.RunOutOfMemory(ctx, e, p)
	e.Require("RST-14", "the container serves again in its pod", name, err, framework.Succeed)
	e.Expect("RST-14", "the kernel killed the container (exit code)", name, cache.LastExit(p), gomega.Equal(cache.Killed))
	e.Expect("RST-65", "after a lack of memory no item from before the last graceful shutdown is served", name, stock.ServedBy(ctx, e, p, first).After(cache.LastEnd(p)), stock.None())
	e.Expect("RST-14", "after a lack of memory no item stored before it is served", name, stock.ServedBy(ctx, e, p, second).After(cache.LastEnd(p)), stock.None())
	stock.StoreIn(ctx, e, p, second)
	e.Expect("RST-14", "after a lack of memory items stored since are served", name, stock.ServedBy(ctx, e, p, second), stock.All())
})

// failsOnce is a probe that fails if a file exists, and removes it.
func failsOnce(path string) corev1.Probe {
	return corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"sh", "-c", `! rm "$0" 2>/dev/null`, path}}},
		PeriodSeconds: 2, FailureThreshold: 1, TimeoutSeconds: 30,
	}
}

// downFor is the time between the end of the last instance of memcached and
// the start of the one that runs, in whole seconds.
func downFor(p *corev1.Pod) time.Duration {
	s := cache.Status(p)
	if s.LastTerminationState.Terminated == nil || s.State.Running == nil {
		return 0
	}
	return s.State.Running.StartedAt.Sub(s.LastTerminationState.Terminated.FinishedAt.Time)
}
