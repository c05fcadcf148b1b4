package e2e

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/traffic"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "RST-52", Title: "a full cache is saved within the grace period of its pod, and serves within a minute of its next start",
	Covers: []spec.ReqID{"RST-52", "RST-09", "RST-54", "RST-58", "RST-59", "OPS-06"},
	Level:  spec.Must, Profile: spec.Persistent, Tags: []string{"restart"}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-52", workload.Bounded(e, spec.Persistent, deploy.Changes{Namespace: e.Namespace}))
	clients, end := traffic.Clients(ctx, e, d, 1)
	p := workload.Pod(ctx, e, d)
	c := cache.Open(ctx, e, p)
	fillUp(ctx, e, c, clients, d)
	end()
	requireFull(ctx, e, "RST-52", c)
	before, counters := c.List(ctx, e), cache.Stats(ctx, e, c.Connection, "")
	c.Close()
	size := cache.StatMemoryFile(ctx, e, "RST-58", p).Size

	stopping := timeStop(ctx, e, d)
	e.Expect("RST-52", "the pod stopped within its grace period (seconds)", stopping.name, stopping.took.Seconds(), gomega.BeNumerically("<", stopping.grace.Seconds()))
	e.Expect("OPS-06", "the grace period is twice the time that a full cache took to stop, or more (seconds)", stopping.name, stopping.grace.Seconds(), gomega.BeNumerically(">=", 2*stopping.took.Seconds()))
	stopping.downLongEnough()
	workload.ScaleUp(ctx, e, "RST-52", d)

	p = workload.Pod(ctx, e, d)
	started := readyAfter(p)
	e.Expect("RST-54", "memcached answers within a minute of the start of its container (seconds)", framework.Name("pod", p), started.Seconds(), gomega.BeNumerically("<=", startLimit.Seconds()))
	e.Note("restart", "stopped in %s, ready %s after the start of the container", stopping.took.Round(100*time.Millisecond), started)
	expectInitialised(ctx, e, p, size)
	c = cache.Open(ctx, e, p)
	expectCounters(ctx, e, c, counters)
	after := c.List(ctx, e)
	e.Expect("RST-09", "memcached had saved all of a full cache before its container ended (items)", c.Pod, len(after), gomega.BeNumerically(">", len(before)/2))
})

// stop is how a pod stopped when its workload was scaled to 0.
type stop struct {
	name           string // of the pod
	took, grace    time.Duration
	downLongEnough func() // waits until a warm start is possible
}

func timeStop(ctx context.Context, e *framework.Env, d *deploy.Deployment) stop {
	p := workload.Pod(ctx, e, d)
	start := time.Now()
	downLongEnough := workload.ScaleDown(ctx, e, d)
	return stop{framework.Name("pod", p), time.Since(start), time.Duration(*p.Spec.TerminationGracePeriodSeconds) * time.Second, downLongEnough}
}

// startLimit is generous for the hundred thousands of items of the spec:
// memcached recovers about a million a second (its restart.md).
const startLimit = time.Minute

// readyAfter is the time between the start of the container and its first
// answer to the readiness probe, in whole seconds.
func readyAfter(p *corev1.Pod) time.Duration {
	var started, ready time.Time
	if running := cache.Status(p).State.Running; running != nil {
		started = running.StartedAt.Time
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.ContainersReady {
			ready = c.LastTransitionTime.Time
		}
	}
	return ready.Sub(started)
}

// expectInitialised expects that every init container has run once more and has
// left the memory file as it was.
func expectInitialised(ctx context.Context, e *framework.Env, p *corev1.Pod, size int64) {
	name := framework.Name("pod", p)
	sidecars := map[string]bool{} // which are among the init containers and do not end
	for _, c := range p.Spec.InitContainers {
		sidecars[c.Name] = c.RestartPolicy != nil
	}
	for _, s := range p.Status.InitContainerStatuses {
		if sidecars[s.Name] {
			continue
		}
		ended := "it has not ended"
		if t := s.State.Terminated; t != nil {
			ended = fmt.Sprintf("exit code %d", t.ExitCode)
		}
		e.Expect("RST-58", "init container "+s.Name+" has run for the new pod without an error", name, ended, gomega.Equal(cache.Success))
	}
	e.Expect("RST-58", "the memory file has the size that it had (bytes)", name, cache.StatMemoryFile(ctx, e, "RST-58", p).Size, gomega.Equal(size))
}

// expectCounters compares the general statistics after a restart with those
// before.
func expectCounters(ctx context.Context, e *framework.Env, c *cache.Client, before map[string]string) {
	now := cache.Stats(ctx, e, c.Connection, "")
	for _, name := range []string{"cmd_set", "get_hits", "get_misses", "evictions"} {
		e.Expect("RST-59", "the counter "+name+" starts at 0", c.Pod, now[name], gomega.Equal("0"))
	}
	e.Expect("RST-59", "the size of the hash table carries over (hash_power_level)", c.Pod, now["hash_power_level"], gomega.Equal(before["hash_power_level"]))
	for _, name := range []string{"curr_items", "bytes"} {
		was, _ := strconv.ParseFloat(before[name], 64)
		is, _ := strconv.ParseFloat(now[name], 64)
		e.Expect("RST-59", name+" carries over", c.Pod, is, gomega.BeNumerically("~", was, 0.01*was))
	}
}
