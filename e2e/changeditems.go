package e2e

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// changes are items of which more is known than their value.
type changes struct {
	outdated, current *memcached.Item // of one key
	highest           uint64          // CAS id
	values            map[string]string
	deleted           []string
}

func changeItems(ctx context.Context, e *framework.Env, c *cache.Client, remove []string) changes {
	e.Step("change, touch and delete items")
	ch := changes{deleted: remove, values: map[string]string{"counter": "1000042", "grown": "left right"}}
	c.Store(ctx, e,
		memcached.Item{Key: "counter", Value: []byte("999999")}, memcached.Item{Key: "grown", Value: []byte("left ")},
		memcached.Item{Key: "touched-longer", Value: []byte("x"), Expiration: 20}, memcached.Item{Key: "touched-shorter", Value: []byte("x")},
		memcached.Item{Key: "guarded", Value: []byte("old")})
	_, err := c.Increment(ctx, "counter", 43)
	e.NoError(err, "increment an item")
	for _, command := range []string{"append grown 0 0 3\r\nrig", "append grown 0 0 2\r\nht"} {
		e.NoError(errUnless(c.Do(ctx, e, command), "STORED"), "append to an item")
	}
	e.NoError(c.Touch(ctx, "touched-longer", 900), "touch an item")
	e.NoError(c.Touch(ctx, "touched-shorter", 600), "touch an item")
	e.NoError(c.Session.DeleteMany(ctx, remove), "delete items")
	ch.outdated, err = c.Get(ctx, "guarded")
	e.NoError(err, "get an item")
	c.Store(ctx, e, memcached.Item{Key: "guarded", Value: []byte("new")})
	ch.current, err = c.Get(ctx, "guarded")
	e.NoError(err, "get an item")

	now := c.Clock(ctx, e)
	var lives []memcached.Item
	for n := range 24 { // one of them expires soon after the restart, however long that takes
		left := int32(20 + 10*n)
		lives = append(lives, memcached.Item{Key: fmt.Sprintf("lives-%d", left), Value: []byte("x"), Expiration: left},
			memcached.Item{Key: fmt.Sprintf("until-%d", left), Value: []byte("x"), Expiration: int32(now.Unix()) + left + 5})
	}
	c.Store(ctx, e, lives...)
	for _, m := range c.List(ctx, e) {
		ch.highest = max(ch.highest, m.CAS)
	}
	return ch
}

func (ch changes) expect(ctx context.Context, e *framework.Env, c *cache.Client) {
	e.Step("expect what was changed, and what guards it")
	for key, want := range ch.values {
		i, err := c.Get(ctx, key)
		got := fmt.Sprint(err)
		if err == nil {
			got = string(i.Value)
		}
		e.Expect("RST-39", "what incr and append made of an item is there", c.Pod, key+" "+got, gomega.Equal(key+" "+want))
	}
	var back []string
	e.NoError(c.Session.FetchMany(ctx, ch.deleted, func(i memcached.Item) { back = append(back, i.Key) }), "look for deleted items")
	e.Expect("RST-38", "items deleted before the restart stay deleted (those that are back)", c.Pod, some(back), gomega.BeEmpty())

	outdated := c.CompareAndSwap(ctx, ch.outdated)
	e.Expect("RST-35", fmt.Sprintf("cas with an outdated id is refused with EXISTS (answer: %v)", outdated), c.Pod, errors.Is(outdated, memcached.ErrCASConflict), gomega.BeTrue())
	e.Expect("RST-35", "cas with the current id is accepted", c.Pod, c.CompareAndSwap(ctx, ch.current), framework.Succeed)
	fresh := memcached.Item{Key: "fresh", Value: []byte("x")}
	c.Store(ctx, e, fresh)
	i, err := c.Get(ctx, fresh.Key)
	e.NoError(err, "get an item")
	e.Expect("RST-36", "the id of an item stored after the restart is above all before", c.Pod, i.CasID, gomega.BeNumerically(">", ch.highest))
}

// shortLived are items that expire while memcached is down.
type shortLived struct {
	gone                      time.Time // when they are, by the clock of this machine
	relative, absolute, touch string
}

const shortLife = 4 * time.Second

func storeShortLived(ctx context.Context, e *framework.Env, c *cache.Client) shortLived {
	e.Step("store items that expire while memcached is down")
	s := shortLived{relative: "gone-relative", absolute: "gone-absolute", touch: "gone-touched"}
	seconds := int32(shortLife.Seconds())
	c.Store(ctx, e, memcached.Item{Key: s.relative, Value: []byte("x"), Expiration: seconds},
		memcached.Item{Key: s.absolute, Value: []byte("x"), Expiration: int32(c.Clock(ctx, e).Unix()) + seconds},
		memcached.Item{Key: s.touch, Value: []byte("x")})
	e.NoError(c.Touch(ctx, s.touch, seconds), "touch an item")
	s.gone = time.Now().Add(shortLife + 2*time.Second)
	for _, key := range []string{s.relative, s.absolute, s.touch} {
		e.NoError(errUnless(strconv.FormatBool(c.Has(ctx, e, key)), "true"), "see %s before the restart", key)
	}
	return s
}

func (s shortLived) expectGone(ctx context.Context, e *framework.Env, c *cache.Client) {
	e.Expect("RST-27", "an item that expired while memcached was down is served", c.Pod, c.Has(ctx, e, s.relative), gomega.BeFalse())
	e.Expect("RST-29", "an item whose time came while memcached was down is served", c.Pod, c.Has(ctx, e, s.absolute), gomega.BeFalse())
	e.Expect("RST-31", "an item that was touched to expire while memcached was down is served", c.Pod, c.Has(ctx, e, s.touch), gomega.BeFalse())
}

// lagLimit allows for whole seconds, and for the time that an answer takes.
const lagLimit = 2 * time.Second

// restartTimed scales to 0 and 1 and examines how long that takes. memcached
// stays down until then.
func restartTimed(ctx context.Context, e *framework.Env, d *deploy.Deployment, then time.Time) (down time.Duration) {
	p := workload.Pod(ctx, e, d)
	name := framework.Name("pod", p)
	memory := memoryOf(ctx, e, p)
	start := time.Now()
	downLongEnough := workload.ScaleDown(ctx, e, d)
	stopped := time.Since(start)
	grace := time.Duration(*p.Spec.TerminationGracePeriodSeconds) * time.Second
	e.Expect("RST-52", "the pod stopped within its grace period (seconds)", name, stopped.Seconds(), gomega.BeNumerically("<", grace.Seconds()))
	e.Expect("OPS-06", "the grace period is twice the time that a full cache took to stop, or more (seconds)", name, grace.Seconds(), gomega.BeNumerically(">=", 2*stopped.Seconds()))
	downLongEnough()
	e.NoError(e.Waiter.Until(ctx, wait.Downtime, "items to expire while memcached is down", func(context.Context) (bool, string, error) {
		return time.Now().After(then), time.Until(then).Round(time.Second).String() + " to go", nil
	}), "stay down")
	workload.ScaleUp(ctx, e, d)
	up := workload.Pod(ctx, e, d)
	down = time.Since(start)
	took := readyAfter(up)
	e.Expect("RST-54", "memcached answers within a minute of the start of its container (seconds)", framework.Name("pod", up), took.Seconds(), gomega.BeNumerically("<=", startLimit.Seconds()))
	expectInitialised(ctx, e, up, memory.Size)
	e.Note("restart", fmt.Sprintf("stopped in %s, ready %s after the start of the container", stopped.Round(100*time.Millisecond), took))
	return down
}

// startLimit is generous for the hundred thousands of items of the spec:
// memcached recovers about a million a second, restart.md.
const startLimit = time.Minute

// readyAfter is the time between the start of the container and its first
// answer to the readiness probe, in whole seconds.
func readyAfter(p *corev1.Pod) time.Duration {
	var started, ready time.Time
	for _, s := range p.Status.ContainerStatuses {
		if s.Name == deploy.Container && s.State.Running != nil {
			started = s.State.Running.StartedAt.Time
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.ContainersReady {
			ready = c.LastTransitionTime.Time
		}
	}
	return ready.Sub(started)
}

// expectInitialised examines that every init container has run once more and
// has left the memory file as it was.
func expectInitialised(ctx context.Context, e *framework.Env, p *corev1.Pod, size int64) {
	name := framework.Name("pod", p)
	for _, s := range p.Status.InitContainerStatuses {
		e.Expect("RST-58", "init container "+s.Name+" has run for the new pod without an error", name,
			s.State.Terminated != nil && s.State.Terminated.ExitCode == 0, gomega.BeTrue())
	}
	e.Expect("RST-58", "the memory file has the size that it had (bytes)", name, memoryOf(ctx, e, p).Size, gomega.Equal(size))
}

func memoryOf(ctx context.Context, e *framework.Env, p *corev1.Pod) pmem.MemoryFile {
	path := cache.MemoryFile(e, "RST-45", p, cache.Process(ctx, e, p))
	file, err := pmem.StatMemoryFile(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, path)
	e.NoError(err, "look at the memory file %s", path)
	return file
}

// expectCounters compares the general statistics after a restart with those
// before.
func expectCounters(ctx context.Context, e *framework.Env, c *cache.Client, before map[string]string) {
	e.Step("expect the counters of a warm start")
	now := cache.Stats(ctx, e, c.Connection, "")
	for _, name := range []string{"cmd_set", "get_hits", "get_misses", "evictions"} {
		e.Expect("RST-59", "counters of commands begin anew ("+name+")", c.Pod, now[name], gomega.Equal("0"))
	}
	e.Expect("RST-59", "the size of the hash table carries over (hash_power_level)", c.Pod, now["hash_power_level"], gomega.Equal(before["hash_power_level"]))
	for _, name := range []string{"curr_items", "bytes"} {
		was, _ := strconv.ParseFloat(before[name], 64)
		is, _ := strconv.ParseFloat(now[name], 64)
		// Some have expired.
		e.Expect("RST-59", fmt.Sprintf("%s carries over, but for what has expired (before: %.0f)", name, was), c.Pod, is, gomega.BeNumerically("~", was, 0.01*was))
	}
}

func expectKept(e *framework.Env, pod string, l, after cache.Listing, now time.Time, down time.Duration) {
	e.Step("compare %d items with those before", len(after))
	different := l.Differences(after, now)
	e.Expect("RST-45", fmt.Sprintf("the full cache has exactly the %d keys that it had (%d differences)", len(l), len(different)), pod, some(different), gomega.BeEmpty())
	e.Expect("RST-09", "memcached had saved all of a full cache before its container ended (items)", pod, len(after), gomega.BeNumerically(">", len(l)/2))
	for _, of := range []struct {
		req  spec.ReqID
		says string
		keep func(key string, m memcached.Metadata) bool
	}{
		{"RST-30", "items without an expiry have none", func(_ string, m memcached.Metadata) bool { return m.Expires == -1 }},
		{"RST-28", fmt.Sprintf("items expire when they were to, the %s of the restart counted", down.Round(time.Second)), cache.HasPrefix("lives-")},
		{"RST-29", "items expire at the time that they were given", cache.HasPrefix("until-")},
		{"RST-31", "items expire as the last touch has said", cache.HasPrefix("touched-")},
	} {
		var wrong []string
		seen := 0
		for key, m := range after {
			if was := l[key]; of.keep(key, was) {
				seen++
				// The clock of memcached has whole seconds, and so has the time of its start.
				if off := m.Expires - was.Expires; off < -1 || off > 1 || was.Expires < 0 && off != 0 {
					wrong = append(wrong, fmt.Sprintf("%s: %d, not %d", key, m.Expires, was.Expires))
				}
			}
		}
		e.Expect(of.req, of.says+" (by memcached's list)", pod, share(seen, wrong), gomega.Equal(share(max(seen, 1), nil)))
	}
}

// expectExpiry examines that an item seen alive is gone once its time has come.
func expectExpiry(ctx context.Context, e *framework.Env, c *cache.Client, key string, expires int64, alive bool) {
	e.Step("await the time at which %s expires", key)
	e.Expect("RST-28", fmt.Sprintf("%s, which expires at %d, is served before", key, expires), c.Pod, alive, gomega.BeTrue())
	err := e.Waiter.Until(ctx, wait.ItemExpires, fmt.Sprintf("the time at which %s expires", key), func(ctx context.Context) (bool, string, error) {
		left := expires + 2 - c.Clock(ctx, e).Unix()
		return left <= 0, fmt.Sprintf("%d s to go", left), nil
	})
	e.NoError(err, "wait for the time at which %s expires", key)
	e.Expect("RST-28", fmt.Sprintf("%s, which expires at %d, is served after", key, expires), c.Pod, c.Has(ctx, e, key), gomega.BeFalse())
}
