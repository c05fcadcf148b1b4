package e2e

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/onsi/gomega"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/stock"
	"pmem-memcached-e2e/e2e/internal/traffic"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/bench"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "RST-45", Title: "a full cache comes back item by item, and once more after evictions and deletions",
	Covers: []spec.ReqID{"RST-45", "RST-37", "RST-42", "RST-43", "RST-44", "RST-46", "RST-47"},
	Level:  spec.Must, Profile: spec.Persistent, Tags: []string{"restart"}, Budget: 12 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-45", workload.Bounded(e, spec.Persistent, deploy.Changes{Namespace: e.Namespace}))
	clients, end := traffic.Clients(ctx, e, d, 1)
	c := cache.Open(ctx, e, workload.Pod(ctx, e, d))
	full := fillUp(ctx, e, c, clients, d)
	e.NoError(c.Session.DeleteMany(ctx, full.few[:fewGone]), "delete items")
	before := c.List(ctx, e)
	requireFull(ctx, e, "RST-45", c)
	c.Close()

	workload.ScaleDown(ctx, e, d)()
	workload.ScaleUp(ctx, e, "RST-45", d)
	c = cache.Open(ctx, e, workload.Pod(ctx, e, d))
	after := c.List(ctx, e)
	expectSameKeys(ctx, e, "RST-45", "the full cache has exactly the keys that it had", c, before, after)
	full.expectValues(ctx, e, c, after)

	e.Relies("RST-47", d)
	pid := c.Count(ctx, e, "pid")
	full.expectOrder(ctx, e, c, clients, d, after)
	full.evictMore(ctx, e, c, clients, d)
	e.Expect("RST-47", "the memcached that stored, evicted and deleted after a warm start is the same process (pid)", c.Pod, c.Count(ctx, e, "pid"), gomega.Equal(pid))
	e.Step("restart once more")
	before = c.List(ctx, e)
	c.Close()
	stopping := timeStop(ctx, e, d)
	e.Expect("RST-47", "after evictions and deletions the pod stopped within its grace period (seconds)", stopping.name, stopping.took.Seconds(), gomega.BeNumerically("<", stopping.grace.Seconds()))
	stopping.downLongEnough()
	workload.ScaleUp(ctx, e, "RST-45", d)
	c = cache.Open(ctx, e, workload.Pod(ctx, e, d))
	now := c.List(ctx, e)
	expectSameKeys(ctx, e, "RST-47", "after evictions and deletions a further restart finds the same keys", c, before, now)
	full.expectValues(ctx, e, c, now)
	full.sweep(ctx, e, c, clients, d) // which changes the order of the items
	end()
})

// requireFull ends the spec with req not met unless memcached has evicted items.
func requireFull(ctx context.Context, e *framework.Env, req spec.ReqID, c *cache.Client) {
	e.Require(req, "the cache was full: memcached evicted items", c.Pod, c.Count(ctx, e, "evictions"), gomega.BeNumerically(">", 0))
}

func expectSameKeys(ctx context.Context, e *framework.Env, req spec.ReqID, check string, c *cache.Client, before, after cache.Listing) {
	e.Step("compare %d items with the %d before the restart", len(after), len(before))
	e.Expect(req, check, c.Pod, cache.Faults(before.Differences(after, c.Clock(ctx, e))), gomega.BeEmpty())
}

// filling is what fills a cache: items of every size, large ones of which some
// are deleted, a few small ones, and then as many of some kB as make memcached
// evict.
type filling struct {
	sizes, large, few []string
	bulk              load.Options
}

const (
	fewItems   = 1000
	fewGone    = 100 // of them
	fewSize    = 32
	bulkSize   = 4000
	bulkOver   = 1.15 // of what the cache could hold without any overhead
	largeItems = 6
	largeGone  = 2 // of them
)

func fillUp(ctx context.Context, e *framework.Env, c *cache.Client, clients *bench.Clients, d *deploy.Deployment) filling {
	e.Step("fill the cache")
	start := time.Now()
	// From here on the items of a size stay where they are, else memcached may
	// evict some of one size for the sake of another at any time.
	c.MustDo(ctx, e, "slabs automove 0", "OK")
	settings := cache.Stats(ctx, e, c.Connection, "settings")
	largest, err := strconv.Atoi(settings["item_size_max"])
	e.NoError(err, "read item_size_max of %s", c.Pod)
	limit, err := strconv.ParseFloat(settings["maxbytes"], 64)
	e.NoError(err, "read maxbytes of %s", c.Pod)

	var f filling
	var items []memcached.Item
	add := func(list *[]string, name string, size int) {
		*list = append(*list, name)
		items = append(items, stock.Item(name, size))
	}
	for n := range largeItems {
		add(&f.large, fmt.Sprintf("large-%d", n), largest*2/3)
	}
	for size := 2; size < largest; size *= 2 {
		if size != sizeOfBulk { // whose class the bulk fills
			add(&f.sizes, fmt.Sprintf("size-%d", size), size)
		}
	}
	add(&f.sizes, "size-largest", largest-1000)
	for n := range fewItems {
		add(&f.few, fmt.Sprintf("few-%06d", n), fewSize)
	}
	c.Store(ctx, e, items...)
	e.NoError(c.Session.DeleteMany(ctx, f.large[:largeGone]), "delete large items")
	f.large = f.large[largeGone:]

	f.bulk = bulk(traffic.Addr(ctx, e, d), "bulk-", int64(bulkOver*limit/bulkSize))
	put(ctx, e, clients, d, f.bulk)
	e.Note("filling", "%d items of %d MiB in %s", c.Count(ctx, e, "curr_items"), c.Count(ctx, e, "bytes")/cache.MiB, time.Since(start).Round(time.Second))
	return f
}

// put puts a deployment under load, which stores o.Keys unless they are there.
func put(ctx context.Context, e *framework.Env, clients *bench.Clients, d *deploy.Deployment, o load.Options) load.Result {
	return traffic.Load(ctx, e, clients, d, o, fmt.Sprintf("load it with %d items", o.Keys))
}

// sizeOfBulk is the power of two in whose slab class the items of the bulk are,
// which are evicted.
const sizeOfBulk = 4096

// bulkGets is the rate at which keys are got once they are stored. memcached evicts an item that was got twice later
// than others, so a second must not suffice for all keys.
const bulkGets = 100 // requests of several keys a second

// bulk stores keys one after the other, and then gets the first of them in the same way.
func bulk(addr, prefix string, keys int64) load.Options {
	o := load.Default(addr)
	o.Connections, o.Depth, o.Multiget, o.Popular = 1, 8, 20, load.Sequential()
	o.Keys, o.Prefix, o.Values = keys, prefix, load.Fixed(bulkSize)
	o.Gets, o.Sets, o.MayMiss = 1, 0, true
	o.Rate, o.Arrivals = bulkGets, load.Constant
	o.WarmUp, o.Duration, o.Timeout = 0, time.Second, time.Minute
	return o
}

// expectValues fetches all items except the bulk and compares their values.
func (f filling) expectValues(ctx context.Context, e *framework.Env, c *cache.Client, there cache.Listing) {
	e.Step("fetch and compare values")
	var flags []string
	compare := func(check string, keys []string, reqs ...spec.ReqID) {
		var wrong []string
		seen := map[string]bool{}
		err := c.Session.FetchMany(ctx, keys, func(i memcached.Item) {
			seen[i.Key] = true
			badValue, badFlags := stock.Faults(i)
			if badValue {
				wrong = append(wrong, i.Key+" has another value")
			}
			if badFlags {
				flags = append(flags, i.Key+" has other flags")
			}
		})
		e.NoError(err, "fetch %d items from %s", len(keys), c.Pod)
		for _, key := range keys {
			if !seen[key] {
				wrong = append(wrong, key+" is a miss")
			}
		}
		for _, req := range reqs {
			e.Expect(req, check, c.Pod, cache.Faults(wrong), gomega.BeEmpty())
		}
	}
	compare("items of every size have their values", f.sizes, "RST-44")
	compare("large items, in several chunks each, have their values, though others were deleted", f.large, "RST-42", "RST-43")
	compare("small items have their values", there.Keys("few-"), "RST-45")
	e.Expect("RST-37", "every item has its flags", c.Pod, cache.Faults(flags), gomega.BeEmpty())
}

// sweepTime is enough for all keys on an idle machine. With sweepLimit, a cache of [workload.Largest] takes 1800 keys/s.
const (
	sweepTime  = 5 * time.Second
	sweepLimit = 5 * time.Minute
)

// sweep gets all keys of the bulk, from within the cluster.
func (f filling) sweep(ctx context.Context, e *framework.Env, c *cache.Client, clients *bench.Clients, d *deploy.Deployment) {
	e.Step("fetch and compare %d values from within the cluster", f.bulk.Keys)
	o := f.bulk
	o.Preloaded, o.Rate, o.Duration = true, 0, sweepTime
	var got, hits int64
	var took time.Duration
	for got < o.Keys {
		if got > 0 {
			if o.Duration == sweepLimit {
				e.NoError(fmt.Errorf("%d keys in %s, which is too slow for a verdict about all of them", got, took.Round(time.Second)), "get %d items", o.Keys)
			}
			// Each load begins at the same key, so it has to be as long as a whole sweep takes.
			o.Duration = min(time.Duration(1.5*float64(took)*float64(o.Keys)/float64(got)), sweepLimit)
		}
		r := put(ctx, e, clients, d, o)
		traffic.ExpectRight(e, "RST-45", c.Pod, r)
		if r.Wrong+r.Errors > 0 {
			return
		}
		if got, hits, took = r.Hits+r.Misses, r.Hits, r.Elapsed; got == 0 {
			e.NoError(errors.New("no get was answered"), "get %d items", o.Keys)
		}
	}
	e.Note("verification", "%d values of %d bytes compared in %s, %.0f keys/s", hits, bulkSize, took.Round(100*time.Millisecond), float64(hits)/took.Seconds())
}

// How long memcached evicts items after a warm start. Measured with 1.6.38 without emulation: with slab_automove=1 it
// begins to move memory between item sizes after 1 to 2 s of such writes.
const (
	evictingTime = 10 * time.Second
	evictingRate = 200 // items a second
)

// expectOrder stores half as many items as there are of the same size, and
// expects that they evict the items that were stored first.
func (f filling) expectOrder(ctx context.Context, e *framework.Env, c *cache.Client, clients *bench.Clients, d *deploy.Deployment, there cache.Listing) {
	e.Step("evict and delete items")
	old := there.Keys(f.bulk.Prefix) // whose numbers are their order
	put(ctx, e, clients, d, bulk(f.bulk.Addr, "newer-", int64(len(old)/2)))
	e.NoError(c.Session.DeleteMany(ctx, f.few[fewGone:2*fewGone]), "delete items")
	now := c.List(ctx, e)
	left := func(keys []string) string {
		n := 0
		for _, key := range keys {
			if _, ok := now[key]; ok {
				n++
			}
		}
		return fmt.Sprintf("%d of %d are left", n, len(keys))
	}
	quarter := len(old) / 4
	e.Expect("RST-46", "new items evicted the items stored first, before the restart", c.Pod, left(old[:quarter]), gomega.Equal(fmt.Sprintf("0 of %d are left", quarter)))
	e.Expect("RST-46", "new items left the items stored last before the restart", c.Pod, left(old[len(old)-quarter:]), gomega.Equal(fmt.Sprintf("%d of %d are left", quarter, quarter)))
}

// evictMore has items evicted for a while.
func (f filling) evictMore(ctx context.Context, e *framework.Env, c *cache.Client, clients *bench.Clients, d *deploy.Deployment) {
	steady := bulk(f.bulk.Addr, "steady-", int64(evictingRate*evictingTime.Seconds()))
	steady.Gets, steady.Sets, steady.Preloaded = 0, 1, true
	steady.Rate, steady.Duration = evictingRate, evictingTime
	e.Step("evict more items, for %s", steady.Duration)
	put(ctx, e, clients, d, steady)
	e.Expect("RST-47", "memcached evicts items after a warm start", c.Pod, c.Count(ctx, e, "evictions"), gomega.BeNumerically(">", 0))
}
