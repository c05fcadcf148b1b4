package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/stock"
	"pmem-memcached-e2e/e2e/internal/workbench"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "RST-23", Title: "settings that do not concern the layout of items keep the cache, and shutdown saves it if it is allowed",
	Covers: []spec.ReqID{"RST-21", "RST-23", "RST-48", "RST-66"},
	Level:  spec.Must, Profile: spec.Persistent, Tags: []string{"restart", "workbench"}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-23", e.Manifest(spec.Persistent))
	p := workload.Pod(ctx, e, d)
	c := cache.Inspect(ctx, e, "RST-23", p)
	given := d.MemcachedArgs()
	workload.ScaleDown(ctx, e, d)
	w := workbench.New(ctx, e, p, c.File.Path)
	expectHarmless(ctx, e, w, given)
	expectShutdown(ctx, e, w, given)
	w.Remove(ctx)
})

var _ = framework.It(spec.Spec{
	ID: "RST-19", Title: "settings that concern the layout of items empty the cache, and the log names the setting",
	Covers: []spec.ReqID{"RST-17", "RST-18", "RST-19", "RST-20", "RST-21", "RST-22", "RST-26"},
	Level:  spec.Must, Profile: spec.Persistent, Tags: []string{"restart", "workbench"}, Budget: 12 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-19", e.Manifest(spec.Persistent))
	p := workload.Pod(ctx, e, d)
	c := cache.Inspect(ctx, e, "RST-19", p)
	given := d.MemcachedArgs()
	old := stock.Of("old")
	stock.StoreIn(ctx, e, p, old)
	// Most settings are changed on workbenches: all of them would take as many rolling updates.
	e.Parallel(func() {
		e.Step("change the settings of the workload")
		e.NoError(d.SetArgs(ctx, given+" -I 2m"), "change the arguments of %s", d.Name)
		q := workload.Pod(ctx, e, d)
		e.Expect("RST-19", "after a rolling update to -I 2m, no item from before is served", framework.Name("pod", q), stock.ServedBy(ctx, e, q, old), stock.None())
	}, func() {
		w := workbench.New(ctx, e, workbench.WithOwnClaims(ctx, e, p), c.File.Path)
		expectLimit(ctx, e, w, given)
		expectExtstore(ctx, e, w, given)
		w.Remove(ctx)
	}, func() {
		w := workbench.New(ctx, e, workbench.WithOwnClaims(ctx, e, p), c.File.Path)
		expectLayouts(ctx, e, w, given)
		w.Remove(ctx)
	})
})

// harmless settings do not concern the layout of items.
var harmless = []struct {
	req  spec.ReqID
	args string
}{
	{"RST-23", "-t 2"}, {"RST-23", "-c 200"}, {"RST-23", "-v"}, {"RST-23", "-o hash_algorithm=jenkins"},
	{"RST-23", "-M"}, {"RST-23", "-o no_lru_maintainer,no_lru_crawler"}, {"RST-21", "-f 1.25"}, {"RST-23", ""},
}

// expectHarmless restarts memcached with one setting after the other, and stores
// nothing after the first start.
func expectHarmless(ctx context.Context, e *framework.Env, w *workbench.Workbench, given string) {
	items := stock.Of("kept")
	r := w.MustStart(ctx, "RST-23", "memcached serves", given)
	r.Store(ctx, items)
	for n, change := range harmless {
		e.Step("restart with %q", change.args)
		r.Stop(ctx)
		r = w.MustStart(ctx, change.req, fmt.Sprintf("memcached serves with %q", change.args), given+" "+change.args)
		check := fmt.Sprintf("with %q after %q every item is served", change.args, harmless[max(n-1, 0)].args)
		e.Expect(change.req, check, w.Name, r.Served(ctx, items), stock.All())
	}
	e.Expect("RST-48", fmt.Sprintf("after %d restarts in a row every item is served", len(harmless)), w.Name, r.Served(ctx, items), stock.All())
	r.Stop(ctx)
}

// layouts are settings that concern the layout of items, with their names in
// memcached's log (memcached.c, restart callbacks).
var layouts = []struct {
	req        spec.ReqID
	args, name string
}{
	{"RST-19", "-I 2m", "item_size_max"},
	{"RST-20", "-n 96", "chunk_size"},
	{"RST-20", "-o slab_sizes=120-480-1920-7680-120000-450000", "slab_config"},
	{"RST-20", "-o slab_chunk_max=256", "slab_chunk_size_max"},
	{"RST-21", "-f 1.5", "slab_config"},
	{"RST-21", "-f 1.250", "slab_config"},
	{"RST-22", "-C", "use_cas"},
	{"RST-22", "-o no_slab_reassign", "slab_reassign"},
}

// expectLayouts restarts memcached with one setting after the other: each start
// finds items that were laid out by another setting.
func expectLayouts(ctx context.Context, e *framework.Env, w *workbench.Workbench, given string) {
	r := w.MustStart(ctx, "RST-19", "memcached serves", given)
	before, beforeName := "", ""
	for _, change := range layouts {
		e.Step("restart with %q after %q", change.args, before)
		old := stock.Of("old")
		r.Store(ctx, old)
		r.Stop(ctx)
		r = w.MustStart(ctx, change.req, fmt.Sprintf("memcached serves with %q after %q", change.args, before), given+" "+change.args)
		e.Expect(change.req, fmt.Sprintf("with %q after %q, no item of the other layout is served", change.args, before), w.Name, r.Served(ctx, old), stock.None())
		fresh := stock.Of("fresh")
		r.Store(ctx, fresh)
		e.Expect(change.req, fmt.Sprintf("with %q, items stored since are served", change.args), w.Name, r.Served(ctx, fresh), stock.All())
		log := r.Stop(ctx)
		e.Expect(change.req, fmt.Sprintf("with %q after %q, the log names the setting", change.args, before), w.Name, named(log), gomega.BeElementOf(change.name, beforeName))
		r = w.MustStart(ctx, "RST-17", fmt.Sprintf("memcached serves again after %q had cost the cache", change.args), given+" "+change.args)
		e.Expect("RST-17", fmt.Sprintf("after a second start with %q every item is served", change.args), w.Name, r.Served(ctx, fresh), stock.All())
		before, beforeName = change.args, change.name
	}
	r.Stop(ctx)
}

// named is the setting that a log gives as the reason for a cold start.
func named(log string) string {
	for line := range strings.Lines(log) {
		if _, rest, ok := strings.Cut(line, "restart incompatible due to setting for ["); ok {
			name, _, _ := strings.Cut(rest, "]")
			return name
		}
	}
	return "no setting: " + workbench.Tail(log)
}

// expectLimit gives memcached a memory limit below the size of its file.
func expectLimit(ctx context.Context, e *framework.Env, w *workbench.Workbench, given string) {
	e.Step("restart with a smaller memory limit")
	r := w.MustStart(ctx, "RST-18", "memcached serves", given)
	old := stock.Of("old")
	r.Store(ctx, old)
	limit := limitOf(ctx, e, r)
	r.Stop(ctx)
	r = w.MustStart(ctx, "RST-18", "memcached serves with a smaller memory limit", fmt.Sprintf("%s -m %d", given, limit/cache.MiB-8))
	e.Expect("RST-18", "with a smaller memory limit, memcached has that limit (bytes)", w.Name, limitOf(ctx, e, r), gomega.Equal(limit-8*cache.MiB))
	e.Expect("RST-18", "with a smaller memory limit, no item from before is served", w.Name, r.Served(ctx, old), stock.None())
	e.Expect("RST-18", "with a smaller memory limit, the log names the setting", w.Name, named(r.Stop(ctx)), gomega.Equal("maxbytes"))
}

func limitOf(ctx context.Context, e *framework.Env, r *workbench.Run) int64 {
	return r.Client(ctx).Count(ctx, e, "limit_maxbytes")
}

// expectExtstore makes memcached keep large values in a second file.
func expectExtstore(ctx context.Context, e *framework.Env, w *workbench.Workbench, given string) {
	e.Step("restart with extstore")
	// The second file needs space next to the memory file.
	w.Sh(ctx, `truncate -s -24M "$1"`, w.File)
	r := w.MustStart(ctx, "RST-26", "memcached serves", given)
	old := stock.Of("old")
	r.Store(ctx, old)
	r.Stop(ctx)
	args := given + " -o ext_page_size=2,ext_wbuf_size=2,ext_path=" + w.File + ".ext:8m"
	r, err := w.Start(ctx, args)
	if !e.Expect("RST-26", "memcached serves with extstore", w.Name, err, framework.Succeed) {
		return
	}
	e.Expect("RST-26", "with extstore, no item from before is served", w.Name, r.Served(ctx, old), stock.None())
	e.Expect("RST-26", "with extstore, the log reports that it does not support a warm restart", w.Name, r.Stop(ctx), gomega.ContainSubstring("not presently supported"))
	w.Sh(ctx, `rm -f "$1" "$2"`, w.File+".ext", w.File+cache.StateSuffix)
}

// expectShutdown stops memcached by its own command.
func expectShutdown(ctx context.Context, e *framework.Env, w *workbench.Workbench, given string) {
	shutdown := func(r *workbench.Run, command string) string {
		lines, err := r.Client(ctx).Session.Do(ctx, command, func(string) bool { return true })
		if err == nil {
			return lines[0]
		}
		r.Disconnect()
		r.Await(ctx)
		return "the end of memcached"
	}
	e.Step("shutdown without -A")
	items := stock.Of("kept")
	r := w.MustStart(ctx, "RST-66", "memcached serves", given)
	r.Store(ctx, items)
	for _, command := range []string{"shutdown", "shutdown graceful"} {
		if !e.Expect("RST-66", fmt.Sprintf("without -A %q is refused", command), w.Name, shutdown(r, command), gomega.MatchRegexp(`^(SERVER_)?ERROR`)) {
			return // memcached may have ended
		}
	}
	e.Expect("RST-66", "after a shutdown that was refused every item is served", w.Name, r.Served(ctx, items), stock.All())
	r.Stop(ctx)
	for _, of := range []struct {
		command, check string
		want           types.GomegaMatcher
	}{{"shutdown graceful", "every item is served", stock.All()}, {"shutdown", "no item is served", stock.None()}} {
		e.Step("%s with -A", of.command)
		r = w.MustStart(ctx, "RST-66", "memcached serves with -A", given+" -A")
		r.Store(ctx, items)
		e.Expect("RST-66", fmt.Sprintf("with -A %q ends memcached", of.command), w.Name, shutdown(r, of.command), gomega.Equal("the end of memcached"))
		r = w.MustStart(ctx, "RST-66", fmt.Sprintf("memcached serves after %q", of.command), given)
		e.Expect("RST-66", fmt.Sprintf("after %q %s", of.command, of.check), w.Name, r.Served(ctx, items), of.want)
		r.Stop(ctx)
	}
}
