package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/gomega"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/stock"
	"pmem-memcached-e2e/e2e/internal/workbench"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

var _ = framework.It(spec.Spec{
	ID: "RST-32", Title: "a state file that is damaged, outdated or alone leads to an empty cache that serves",
	Covers: []spec.ReqID{"RST-11", "RST-15", "RST-32", "RST-33", "RST-34", "RST-40", "RST-41", "RST-55", "RST-56", "RST-57", "RST-67"},
	Level:  spec.Must, Profile: spec.Persistent, Tags: []string{"restart", "workbench"}, Budget: 12 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-32", e.Manifest(spec.Persistent))
	p := workload.Pod(ctx, e, d)
	c := cache.Inspect(ctx, e, "RST-32", p)
	workload.ScaleDown(ctx, e, d)
	e.Parallel(func() {
		w := workbench.New(ctx, e, d, c, p)
		expectSameSecond(ctx, e, w)
		expectForward(ctx, e, w)
		expectFlushed(ctx, e, w)
		expectReturned(ctx, e, w)
		w.Remove(ctx)
	}, func() {
		w := workbench.New(ctx, e, d, c, workbench.WithOwnClaims(ctx, e, p))
		expectTamperings(ctx, e, w, expectNarrow(ctx, e, w))
		w.Remove(ctx)
	})
})

// tampering changes the files while memcached is down.
type tampering struct {
	req    spec.ReqID
	what   string
	script string // $1 is the state file, $2 the memory file
	warm   bool
}

var tamperings = []tampering{
	{"RST-34", "the state file is as it was, and more than a second has passed", `:`, true},
	{"RST-55", "the state file is missing", `rm "$1"`, false},
	{"RST-55", "the state file is empty", `: >"$1"`, false},
	{"RST-55", "the state file is a line of text", `echo garbage >"$1"`, false},
	{"RST-55", "the state file is 4096 bytes of NUL", `head -c 4096 /dev/zero >"$1"`, false},
	{"RST-55", "the state file has a line with an unknown tag", `echo "Zunknown 1" >>"$1"`, false},
	{"RST-55", "the state file has a key without a value", `echo Kunknown >>"$1"`, false}, // ends memcached 1.6.18 and 1.6.38 with SIGABRT
	{"RST-56", "the state file ends after four lines", `kept=$(head -n 4 "$1"); echo "$kept" >"$1"`, false},
	{"RST-56", "the state file ends in the middle of its last line", `truncate -s -9 "$1"`, false},
	{"RST-32", "the clock was set back by 100 s", moveStop("100"), false},
	{"RST-57", "the memory file is missing", `rm "$2"`, false},
}

// moveStop changes the time of the stop by some seconds.
func moveStop(seconds string) string {
	return `stop=$(sed -n 's/^Kstop_time //p' "$1"); kept=$(sed "s/^Kstop_time .*/Kstop_time $((stop + ` + seconds + `))/" "$1"); echo "$kept" >"$1"`
}

// fillToMiB writes a file to the volume of the memory file $1 that leaves whole MiB free, and prints how many KiB are left
// beyond them: 0, unless the filesystem allocates in larger units.
const fillToMiB = `cd "$(dirname "$1")"
over() { stat -f -c "%a %S" . | { read -r blocks size; echo $((blocks * size % 1048576)); }; }
head -c "$(over)" /dev/zero >.narrow
sync
echo $(($(over) / 1024))`

// expectNarrow restarts memcached on a blank volume on which nothing is left next to a memory file of as many MiB as are free,
// and returns what runs, or nil. How much is left on a volume that nobody prepared depends on its size and on mkfs.
func expectNarrow(ctx context.Context, e *framework.Env, w *workbench.Workbench) *workbench.Run {
	const on = "on a volume with whole MiB free"
	e.Step("leave whole MiB free, and restart")
	e.Note("narrow", "%s KiB are free beyond whole MiB", w.Sh(ctx, fillToMiB, w.File))
	start := func(check string) *workbench.Run {
		r, err := w.Start(ctx, "")
		if !e.Expect("RST-11", on+check, w.Name, err, framework.Succeed) {
			w.Sh(ctx, `rm -f "$1" "$2" "$(dirname "$2")/.narrow"`, w.File+cache.StateSuffix, w.File) // for the next start
			return nil
		}
		return r
	}
	r := start(" memcached serves")
	if r == nil {
		return nil
	}
	items := stock.Of("narrow")
	r.Store(ctx, items)
	r.Stop(ctx)
	if r = start(" memcached serves after a graceful shutdown"); r != nil {
		e.Expect("RST-11", on+" a restart is warm: items of every size are served", w.Name, r.Served(ctx, items), stock.All())
	}
	return r
}

// expectTamperings stops the memcached that runs, changes its files, and starts it again, once
// for each tampering. The items of one start are those that the next may serve.
func expectTamperings(ctx context.Context, e *framework.Env, w *workbench.Workbench, running *workbench.Run) {
	old := stock.Of("old")
	if running != nil {
		running.Store(ctx, old)
	}
	for n, t := range tamperings {
		e.Step("start after this: %s", t.what)
		if running == nil {
			running = w.MustStart(ctx, t.req, "memcached serves before "+t.what, "")
			running.Store(ctx, old)
		}
		running.Stop(ctx)
		w.Sh(ctx, "test -s \"$1\" || { echo \"no state file $1\" >&2; exit 1; }\n"+t.script, w.File+cache.StateSuffix, w.File)
		after, err := w.Start(ctx, "")
		if !e.Expect(t.req, t.what+": memcached serves", w.Name, err, framework.Succeed) {
			w.Sh(ctx, `rm -f "$1"`, w.File+cache.StateSuffix) // for the next start
			running = nil
			continue
		}
		check, want := ": no item from before is served", stock.None()
		if t.warm {
			check, want = ": every item from before is served", stock.All()
		}
		e.Expect(t.req, t.what+check, w.Name, after.Served(ctx, old), want)
		fresh := stock.Of(fmt.Sprintf("fresh-%d", n))
		after.Store(ctx, fresh)
		e.Expect(t.req, t.what+": items stored since are served", w.Name, after.Served(ctx, fresh), stock.All())
		left := w.Sh(ctx, `test -e "$1" && echo left || echo gone`, w.File+cache.StateSuffix)
		e.Expect(t.req, t.what+": the state file is gone while memcached runs", w.Name, left, gomega.Equal("gone"))
		running, old = after, fresh
	}
	if running != nil {
		running.Stop(ctx)
	}
}

// expectForward changes the time of the stop to simulate a clock that was set forward.
func expectForward(ctx context.Context, e *framework.Env, w *workbench.Workbench) {
	e.Step("start after this: the clock was set forward by 1000 s")
	before := w.MustStart(ctx, "RST-33", "memcached serves", "")
	short, long := stock.Item("short", 10), stock.Item("long", 10)
	short.Expiration, long.Expiration = 500, 5000
	before.Store(ctx, []memcached.Item{short, long})
	before.Stop(ctx)
	w.Sh(ctx, moveStop("-1000"), w.File+cache.StateSuffix)
	after := w.MustStart(ctx, "RST-33", "the clock was set forward by 1000 s: memcached serves", "")
	e.Expect("RST-33", "a clock set forward by 1000 s expires an item with 500 s to live", w.Name, after.Served(ctx, []memcached.Item{short}), stock.None())
	e.Expect("RST-33", "a clock set forward by 1000 s leaves an item with 5000 s to live", w.Name, after.Served(ctx, []memcached.Item{long}), stock.All())
	after.Kill(ctx)
}

// expectSameSecond starts memcached as soon as it has stopped. Whether that is
// within the second depends on the machine.
func expectSameSecond(ctx context.Context, e *framework.Env, w *workbench.Workbench) {
	e.Step("start at once after the stop")
	old := stock.Of("old")
	before := w.MustStart(ctx, "RST-34", "memcached serves", "")
	before.Store(ctx, old)
	before.Stop(ctx)
	// A stop in the second of the start, however slow the machine.
	w.Sh(ctx, moveStopToNow, w.File+cache.StateSuffix)
	w.StartAtOnce()
	after := w.MustStart(ctx, "RST-34", "memcached serves when it starts in the second of its stop, or in the next", "")
	e.Expect("RST-34", "after a start in the second of the stop, all items from before are served or none", w.Name, after.Served(ctx, old), stock.AllOrNone())
	after.Kill(ctx)
}

const moveStopToNow = `kept=$(sed "s/^Kstop_time .*/Kstop_time $(date +%s)/" "$1"); echo "$kept" >"$1"`

// A delayed flush_all leaves room for a restart: this time, at wait scale 1, or what several restarts take.
const (
	flushDelay    = 12 * time.Second
	flushRestarts = 2
)

// expectFlushed restarts memcached after flush_all, and then before a delayed
// flush_all is due, which replaces the first.
func expectFlushed(ctx context.Context, e *framework.Env, w *workbench.Workbench) {
	e.Step("flush before a stop")
	old, fresh := stock.Of("old"), stock.Of("fresh")
	r := w.MustStart(ctx, "RST-40", "memcached serves", "")
	c := r.Client(ctx)
	c.Store(ctx, e, old...)
	c.Tick(ctx, e)
	c.MustDo(ctx, e, "flush_all", "OK")
	c.Tick(ctx, e)
	c.Store(ctx, e, fresh...)
	start := time.Now()
	r.Stop(ctx)
	r = w.MustStart(ctx, "RST-40", "memcached serves after flush_all and a restart", "")
	c = r.Client(ctx)
	restart := time.Since(start)
	e.Expect("RST-40", "items that flush_all invalidated before the restart stay invalid", w.Name, stock.Served(ctx, e, c, old), stock.None())
	e.Expect("RST-40", "items stored after flush_all and before the restart are served", w.Name, stock.Served(ctx, e, c, fresh), stock.All())

	e.Step("flush with a delay before a stop")
	c.Tick(ctx, e)
	delay := max(time.Duration(float64(flushDelay)*e.Config.WaitScale.Max()), flushRestarts*restart).Round(time.Second)
	due := c.Clock(ctx, e).Add(delay)
	c.MustDo(ctx, e, fmt.Sprintf("flush_all %.0f", delay.Seconds()), "OK")
	r.Stop(ctx)
	r = w.MustStart(ctx, "RST-41", "memcached serves while a flush_all is due", "")
	c = r.Client(ctx)
	early := stock.Served(ctx, e, c, fresh)
	if !c.Clock(ctx, e).Before(due.Add(-time.Second)) {
		e.NoError(fmt.Errorf("the restart took longer than the %s after which flush_all is due", delay), "look for items before flush_all takes effect; WAIT_SCALE makes it due later")
	}
	e.Expect("RST-41", "after a restart, items are served before a delayed flush_all is due", w.Name, early, stock.All())
	err := e.Waiter.Until(ctx, wait.ItemExpires, "the time of the delayed flush_all", func(ctx context.Context) (bool, string, error) {
		left := due.Add(2 * time.Second).Sub(c.Clock(ctx, e))
		return left <= 0, left.String() + " left", nil
	})
	e.NoError(err, "wait for the time of the flush_all")
	e.Expect("RST-41", "after a restart, no item is served once a delayed flush_all was due", w.Name, stock.Served(ctx, e, c, fresh), stock.None())
	r.Kill(ctx)
}

// expectReturned brings the state file back from which a memcached that has crashed had started, as a power cut does before the
// filesystem has written the removal down. The memory file has changed since.
func expectReturned(ctx context.Context, e *framework.Env, w *workbench.Workbench) {
	const what = "the state file of a stop before the last start has come back: "
	e.Step("end memcached as a crash does, and bring back the state file that it had removed")
	state := w.File + cache.StateSuffix
	old, fresh := stock.Of("old"), stock.Of("fresh")
	r := w.MustStart(ctx, "RST-67", "memcached serves", "")
	r.Store(ctx, old)
	r.Stop(ctx)
	w.Sh(ctx, `cp "$1" "$1.earlier"`, state)
	r = w.MustStart(ctx, "RST-67", "memcached serves after a graceful shutdown", "")
	r.Store(ctx, fresh)
	r.Crash(ctx)
	w.Sh(ctx, `mv "$1.earlier" "$1"`, state)
	r, err := w.Start(ctx, "")
	if err == nil {
		err = r.Holds(ctx)
	}
	if !e.Expect("RST-67", what+"memcached serves", w.Name, err, framework.Succeed) {
		r = w.MustStart(ctx, "RST-15", what+"memcached serves when it is started again", "") // as the kubelet does
	}
	e.Expect("RST-15", what+"no item from before is served", w.Name, r.Served(ctx, append(old, fresh...)), stock.None())
	r.Kill(ctx)
}
