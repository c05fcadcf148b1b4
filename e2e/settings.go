package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"

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
	release := cache.Version(ctx, e, p)
	workload.ScaleDown(ctx, e, d)
	w := workbench.New(ctx, e, d, c, p)
	expectHarmless(ctx, e, w)
	if e.Holds("RST-66", release.String()) {
		expectShutdown(ctx, e, w)
	}
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
	old := stock.Of("old")
	stock.StoreIn(ctx, e, p, old)
	larger, _ := layouts[0].unlike(settingsOf(ctx, e, p))
	// Most settings are changed on workbenches: all of them would take as many rolling updates.
	e.Parallel(func() {
		e.Step("change the settings of the workload")
		workload.Comes(e, "RST-19", d, d.AddArgs(ctx, larger.args))
		q := workload.Pod(ctx, e, d)
		e.Expect("RST-19", "after a rolling update to "+larger.args+", no item from before is served", framework.Name("pod", q), stock.ServedBy(ctx, e, q, old), stock.None())
	}, func() {
		w := workbench.New(ctx, e, d, c, workbench.WithOwnClaims(ctx, e, p))
		expectLimit(ctx, e, w)
		expectExtstore(ctx, e, w)
		w.Remove(ctx)
	}, func() {
		w := workbench.New(ctx, e, d, c, workbench.WithOwnClaims(ctx, e, p))
		expectLayouts(ctx, e, w)
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
func expectHarmless(ctx context.Context, e *framework.Env, w *workbench.Workbench) {
	items := stock.Of("kept")
	r := w.MustStart(ctx, "RST-23", "memcached serves", "")
	r.Store(ctx, items)
	before := ""
	for _, change := range harmless {
		if strings.HasPrefix(change.args, "-f") && w.Sets("-f", "--slab-growth-factor") {
			e.Note("left out", "%q, because the deployment has a growth factor of its own, of which the spelling counts", change.args)
			continue
		}
		e.Step("restart with %q", change.args)
		r.Stop(ctx)
		r = w.MustStart(ctx, change.req, fmt.Sprintf("memcached serves with %q", change.args), change.args)
		check := fmt.Sprintf("with %q after %q every item is served", change.args, before)
		e.Expect(change.req, check, w.Name, r.Served(ctx, items), stock.All())
		before = change.args
	}
	e.Expect("RST-48", fmt.Sprintf("after %d restarts in a row every item is served", len(harmless)), w.Name, r.Served(ctx, items), stock.All())
	r.Stop(ctx)
}

// A layout is a setting that concerns the layout of items, with its name in
// memcached's log (memcached.c, restart callbacks).
type layout struct {
	req        spec.ReqID
	args, name string

	// In memcached's statistics a deployment that has the setting already has this value of it, and
	// gets other arguments instead.
	setting, value, other string
}

var layouts = []layout{
	{"RST-19", "-I 2m", "item_size_max", "item_size_max", "2097152", "-I 4m"},
	{"RST-20", "-n 96", "chunk_size", "chunk_size", "96", "-n 128"},
	{req: "RST-20", args: "-o slab_sizes=120-480-1920-7680-120000-450000", name: "slab_config"},
	{"RST-20", "-o slab_chunk_max=256", "slab_chunk_size_max", "slab_chunk_max", "262144", "-o slab_chunk_max=128"},
	{"RST-21", "-f 1.5", "slab_config", "growth_factor", "1.50", "-f 1.75"},
	{req: "RST-21", args: "-f 1.250", name: "slab_config"},
	{"RST-22", "-C", "use_cas", "cas_enabled", "no", ""},
	{"RST-22", "-o no_slab_reassign", "slab_reassign", "slab_reassign", "no", ""},
}

// unlike is the layout, with other arguments if memcached has the setting already. It reports whether
// there are such arguments.
func (l layout) unlike(settings map[string]string) (layout, bool) {
	if l.setting == "" || settings[l.setting] != l.value {
		return l, true
	}
	l.args = l.other
	return l, l.other != ""
}

func settingsOf(ctx context.Context, e *framework.Env, p *corev1.Pod) map[string]string {
	c := cache.Connect(ctx, e, p)
	defer c.Close()
	return cache.Stats(ctx, e, c, "settings")
}

// expectLayouts restarts memcached with one setting after the other: each start
// finds items that were laid out by another setting.
func expectLayouts(ctx context.Context, e *framework.Env, w *workbench.Workbench) {
	r := w.MustStart(ctx, "RST-19", "memcached serves", "")
	before, beforeName := "", ""
	given := cache.Stats(ctx, e, r.Client(ctx).Connection, "settings")
	for _, l := range layouts {
		change, ok := l.unlike(given)
		if !ok {
			e.Note("left out", "%q, which the deployment has anyway", l.args)
			continue
		}
		e.Step("restart with %q after %q", change.args, before)
		old := stock.Of("old")
		r.Store(ctx, old)
		r.Stop(ctx)
		r = w.MustStart(ctx, change.req, fmt.Sprintf("memcached serves with %q after %q", change.args, before), change.args)
		e.Expect(change.req, fmt.Sprintf("with %q after %q, no item of the other layout is served", change.args, before), w.Name, r.Served(ctx, old), stock.None())
		fresh := stock.Of("fresh")
		r.Store(ctx, fresh)
		e.Expect(change.req, fmt.Sprintf("with %q, items stored since are served", change.args), w.Name, r.Served(ctx, fresh), stock.All())
		log := r.Stop(ctx)
		e.Expect(change.req, fmt.Sprintf("with %q after %q, the log names the setting", change.args, before), w.Name, named(log), gomega.BeElementOf(change.name, beforeName))
		r = w.MustStart(ctx, "RST-17", fmt.Sprintf("memcached serves again after %q had cost the cache", change.args), change.args)
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
func expectLimit(ctx context.Context, e *framework.Env, w *workbench.Workbench) {
	e.Step("restart with a smaller memory limit")
	r := w.MustStart(ctx, "RST-18", "memcached serves", "")
	old := stock.Of("old")
	r.Store(ctx, old)
	limit := limitOf(ctx, e, r)
	r.Stop(ctx)
	r = w.MustStart(ctx, "RST-18", "memcached serves with a smaller memory limit", fmt.Sprintf("-m %d", limit/cache.MiB-8))
	e.Expect("RST-18", "with a smaller memory limit, memcached has that limit (bytes)", w.Name, limitOf(ctx, e, r), gomega.Equal(limit-8*cache.MiB))
	e.Expect("RST-18", "with a smaller memory limit, no item from before is served", w.Name, r.Served(ctx, old), stock.None())
	e.Expect("RST-18", "with a smaller memory limit, the log names the setting", w.Name, named(r.Stop(ctx)), gomega.Equal("maxbytes"))
}

func limitOf(ctx context.Context, e *framework.Env, r *workbench.Run) int64 {
	return r.Client(ctx).Count(ctx, e, "limit_maxbytes")
}

// expectExtstore makes memcached keep large values in a second file.
func expectExtstore(ctx context.Context, e *framework.Env, w *workbench.Workbench) {
	e.Step("restart with extstore")
	// The second file needs space next to the memory file.
	w.Sh(ctx, `truncate -s -24M "$1"`, w.File)
	r := w.MustStart(ctx, "RST-26", "memcached serves", "")
	old := stock.Of("old")
	r.Store(ctx, old)
	r.Stop(ctx)
	args := "-o ext_page_size=2,ext_wbuf_size=2,ext_path=" + w.File + ".ext:8m"
	r, err := w.Start(ctx, args)
	if !e.Expect("RST-26", "memcached serves with extstore", w.Name, err, framework.Succeed) {
		return
	}
	e.Expect("RST-26", "with extstore, no item from before is served", w.Name, r.Served(ctx, old), stock.None())
	e.Expect("RST-26", "with extstore, the log reports that it does not support a warm restart", w.Name, r.Stop(ctx), gomega.ContainSubstring("not presently supported"))
	w.Sh(ctx, `rm -f "$1" "$2"`, w.File+".ext", w.File+cache.StateSuffix)
}

// expectShutdown stops memcached by its own command.
func expectShutdown(ctx context.Context, e *framework.Env, w *workbench.Workbench) {
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
	r := w.MustStart(ctx, "RST-66", "memcached serves", "")
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
		r = w.MustStart(ctx, "RST-66", "memcached serves with -A", "-A")
		r.Store(ctx, items)
		e.Expect("RST-66", fmt.Sprintf("with -A %q ends memcached", of.command), w.Name, shutdown(r, of.command), gomega.Equal("the end of memcached"))
		r = w.MustStart(ctx, "RST-66", fmt.Sprintf("memcached serves after %q", of.command), "")
		e.Expect("RST-66", fmt.Sprintf("after %q %s", of.command, of.check), w.Name, r.Served(ctx, items), of.want)
		r.Stop(ctx)
	}
}
