package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/gomega"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

var _ = framework.It(spec.Spec{
	ID: "RST-32", Title: "a state file that is damaged, outdated or alone leads to an empty cache that serves",
	Covers: []spec.ReqID{"RST-32", "RST-33", "RST-34", "RST-40", "RST-41", "RST-55", "RST-56", "RST-57"},
	Level:  spec.Must, Profile: spec.Persistent, Tags: []string{"restart", "workbench"}, Budget: 12 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-32", e.Manifest(spec.Persistent))
	p := pod(ctx, e, d)
	c := inspect(ctx, e, "RST-32", p)
	scaleDown(ctx, e, d)
	e.Together(func() {
		w := newWorkbench(ctx, e, p, c.file.Path)
		expectFlushed(ctx, w)
		expectSameSecond(ctx, w)
		expectForward(ctx, w)
		w.remove(ctx)
	}, func() {
		w := newWorkbench(ctx, e, besides(ctx, e, p), c.file.Path)
		expectTamperings(ctx, w)
		w.remove(ctx)
	})
})

// tampering is what is done to the files while memcached is down.
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
	{"RST-56", "the state file ends after four lines", `kept=$(head -n 4 "$1"); echo "$kept" >"$1"`, false},
	{"RST-56", "the state file ends in the middle of its last line", `truncate -s -9 "$1"`, false},
	{"RST-32", "the clock was set back by 100 s", moveStop("100"), false},
	{"RST-57", "the memory file is missing", `rm "$2"`, false},
}

// moveStop changes the time of the stop by some seconds.
func moveStop(seconds string) string {
	return `stop=$(sed -n 's/^Kstop_time //p' "$1"); kept=$(sed "s/^Kstop_time .*/Kstop_time $((stop + ` + seconds + `))/" "$1"); echo "$kept" >"$1"`
}

// expectTamperings stops memcached again and again, changes what it left, and
// examines what comes of it. What is stored in one start is what the next one
// may find.
func expectTamperings(ctx context.Context, w *workbench) {
	e := w.e
	var running *run
	old := stock("old")
	for n, t := range tamperings {
		e.Step("start after this: %s", t.what)
		if running == nil {
			running = w.mustStart(ctx, t.req, "memcached serves before "+t.what, "")
			running.store(ctx, old)
		}
		running.stop(ctx)
		w.sh(ctx, "test -s \"$1\" || { echo \"no state file $1\" >&2; exit 1; }\n"+t.script, w.file+stateSuffix, w.file)
		after, err := w.start(ctx, "")
		if !e.Expect(t.req, t.what+": memcached serves", w.name, err, framework.Succeed) {
			w.sh(ctx, `rm -f "$1"`, w.file+stateSuffix) // for what comes next
			running = nil
			continue
		}
		want := none(old)
		if t.warm {
			want = all(old)
		}
		e.Expect(t.req, t.what+": items from before are served", w.name, after.served(ctx, old), gomega.Equal(want))
		fresh := stock(fmt.Sprintf("fresh-%d", n))
		after.store(ctx, fresh)
		e.Expect(t.req, t.what+": items stored since are served", w.name, after.served(ctx, fresh), gomega.Equal(all(fresh)))
		left := w.sh(ctx, `test -e "$1" && echo left || echo gone`, w.file+stateSuffix)
		e.Expect(t.req, t.what+": the state file is gone while memcached runs", w.name, left, gomega.Equal("gone"))
		running, old = after, fresh
	}
	if running != nil {
		running.stop(ctx)
	}
}

// expectForward has the clock appear to have been set forward.
func expectForward(ctx context.Context, w *workbench) {
	e := w.e
	e.Step("start after this: the clock was set forward by 1000 s")
	before := w.mustStart(ctx, "RST-33", "memcached serves", "")
	short, long := made("short", 10), made("long", 10)
	short.Expiration, long.Expiration = 500, 5000
	before.store(ctx, []memcached.Item{short, long})
	before.stop(ctx)
	w.sh(ctx, moveStop("-1000"), w.file+stateSuffix)
	after := w.mustStart(ctx, "RST-33", "the clock was set forward by 1000 s: memcached serves", "")
	e.Expect("RST-33", "an item with 500 s to live when the clock was set forward by 1000 s is served", w.name, after.served(ctx, []memcached.Item{short}), gomega.Equal("0 of 1"))
	e.Expect("RST-33", "an item with 5000 s to live when the clock was set forward by 1000 s is served", w.name, after.served(ctx, []memcached.Item{long}), gomega.Equal("1 of 1"))
	after.kill(ctx)
}

// expectSameSecond starts memcached as soon as it has stopped. Whether that is
// within the second depends on the machine.
func expectSameSecond(ctx context.Context, w *workbench) {
	e := w.e
	e.Step("start at once after the stop")
	old := stock("old")
	before := w.mustStart(ctx, "RST-34", "memcached serves", "")
	before.store(ctx, old)
	before.stop(ctx)
	// A stop in the second of the start, however slow the machine.
	w.sh(ctx, moveStopToNow, w.file+stateSuffix)
	w.hurry()
	after := w.mustStart(ctx, "RST-34", "memcached serves when it starts in the second of its stop, or in the next", "")
	e.Expect("RST-34", "of the items from before are served, all or none", w.name, after.served(ctx, old), gomega.BeElementOf(all(old), none(old)))
	after.kill(ctx)
}

const moveStopToNow = `kept=$(sed "s/^Kstop_time .*/Kstop_time $(date +%s)/" "$1"); echo "$kept" >"$1"`

// flushDelay leaves room for a restart, at wait scale 1.
const flushDelay = 12 * time.Second

// expectFlushed has flush_all, and then flush_all with a delay, outlast a
// restart. The second would take the place of the first.
func expectFlushed(ctx context.Context, w *workbench) {
	e := w.e
	e.Step("flush before a stop")
	old, fresh := stock("old"), stock("fresh")
	r := w.mustStart(ctx, "RST-40", "memcached serves", "")
	c := r.connected(ctx)
	c.store(ctx, e, old...)
	c.tick(ctx, e)
	e.NoError(errUnless(c.do(ctx, e, "flush_all"), "OK"), "flush the cache")
	c.tick(ctx, e)
	c.store(ctx, e, fresh...)
	r.stop(ctx)
	r = w.mustStart(ctx, "RST-40", "memcached serves after flush_all and a restart", "")
	c = r.connected(ctx)
	e.Expect("RST-40", "items that flush_all had invalidated before the restart are served", w.name, served(ctx, e, c, old), gomega.Equal(none(old)))
	e.Expect("RST-40", "items stored after flush_all and before the restart are served", w.name, served(ctx, e, c, fresh), gomega.Equal(all(fresh)))

	e.Step("flush with a delay before a stop")
	c.tick(ctx, e)
	delay := time.Duration(float64(flushDelay) * e.Config.WaitScale.Max()).Round(time.Second)
	due := c.clock(ctx, e).Add(delay)
	e.NoError(errUnless(c.do(ctx, e, fmt.Sprintf("flush_all %.0f", delay.Seconds())), "OK"), "flush the cache with a delay")
	r.stop(ctx)
	r = w.mustStart(ctx, "RST-41", "memcached serves while a flush_all is due", "")
	c = r.connected(ctx)
	early := served(ctx, e, c, fresh)
	if !c.clock(ctx, e).Before(due.Add(-time.Second)) {
		e.NoError(fmt.Errorf("the restart took longer than the %s after which flush_all is due", delay), "look for items before flush_all takes effect; WAIT_SCALE makes it due later")
	}
	e.Expect("RST-41", "items are served after the restart, while the flush_all is due", w.name, early, gomega.Equal(all(fresh)))
	err := e.Waiter.Until(ctx, wait.ItemExpires, "the time of the delayed flush_all", func(ctx context.Context) (bool, string, error) {
		left := due.Add(2 * time.Second).Sub(c.clock(ctx, e))
		return left <= 0, left.String() + " to go", nil
	})
	e.NoError(err, "wait for the time of the flush_all")
	e.Expect("RST-41", "items are served once the flush_all was due", w.name, served(ctx, e, c, fresh), gomega.Equal(none(fresh)))
	r.kill(ctx)
}

// tick waits until memcached's clock, which has whole seconds, has moved by
// two.
func (c *cached) tick(ctx context.Context, e *framework.Env) {
	start := c.clock(ctx, e)
	err := e.Waiter.Until(ctx, wait.ItemExpires, "memcached's clock to move on", func(ctx context.Context) (bool, string, error) {
		passed := c.clock(ctx, e).Sub(start)
		return passed >= 2*time.Second, passed.String() + " have passed", nil
	})
	e.NoError(err, "wait for memcached's clock")
}
