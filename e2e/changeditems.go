package e2e

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onsi/gomega"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/stock"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "RST-35", Title: "CAS ids, changed values and deletions survive a restart",
	Covers: []spec.ReqID{"RST-35", "RST-36", "RST-38", "RST-39"},
	Level:  spec.Must, Profile: spec.Persistent, Tags: []string{"restart"}, Budget: 6 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-35", e.Manifest(spec.Persistent))
	c := cache.Open(ctx, e, workload.Pod(ctx, e, d))
	changed := changeItems(ctx, e, c)
	c.Close()

	workload.ScaleDown(ctx, e, d)()
	workload.ScaleUp(ctx, e, "RST-35", d)
	c = cache.Open(ctx, e, workload.Pod(ctx, e, d))
	changed.expectKept(ctx, e, c)
})

// changes are items that were changed or deleted.
type changes struct {
	outdated, current *memcached.Item // of one key
	highest           uint64          // CAS id
	deleted           []string
}

func changeItems(ctx context.Context, e *framework.Env, c *cache.Client) changes {
	e.Step("change and delete items")
	var ch changes
	var items []memcached.Item
	for n := range fewItems {
		items = append(items, stock.Item(fmt.Sprintf("few-%06d", n), fewSize))
	}
	for _, i := range items[:fewGone] {
		ch.deleted = append(ch.deleted, i.Key)
	}
	c.Store(ctx, e, items...)
	c.Store(ctx, e, memcached.Item{Key: "counter", Value: []byte("999999")}, memcached.Item{Key: "grown", Value: []byte("left ")},
		memcached.Item{Key: "guarded", Value: []byte("old")})
	_, err := c.Increment(ctx, "counter", 43)
	e.NoError(err, "increment an item")
	for _, command := range []string{"append grown 0 0 3\r\nrig", "append grown 0 0 2\r\nht"} {
		c.MustDo(ctx, e, command, "STORED")
	}
	e.NoError(c.Session.DeleteMany(ctx, ch.deleted), "delete items")
	ch.outdated, err = c.Get(ctx, "guarded")
	e.NoError(err, "get an item")
	c.Store(ctx, e, memcached.Item{Key: "guarded", Value: []byte("new")})
	ch.current, err = c.Get(ctx, "guarded")
	e.NoError(err, "get an item")
	for _, m := range c.List(ctx, e) {
		ch.highest = max(ch.highest, m.CAS)
	}
	return ch
}

func (ch changes) expectKept(ctx context.Context, e *framework.Env, c *cache.Client) {
	e.Step("examine items that were changed or deleted before the restart")
	e.Expect("RST-39", "an item that was incremented before the restart has the sum", c.Pod, cache.Lookup(ctx, e, c.Connection, "counter"), gomega.Equal("1000042"))
	e.Expect("RST-39", "an item that was appended to before the restart has all its parts", c.Pod, cache.Lookup(ctx, e, c.Connection, "grown"), gomega.Equal("left right"))
	var back []string
	e.NoError(c.Session.FetchMany(ctx, ch.deleted, func(i memcached.Item) { back = append(back, i.Key+" is back") }), "look for deleted items")
	e.Expect("RST-38", "items deleted before the restart stay deleted", c.Pod, cache.Faults(back), gomega.BeEmpty())

	fresh := memcached.Item{Key: "fresh", Value: []byte("x")} // the first that gets an id
	c.Store(ctx, e, fresh)
	i, err := c.Get(ctx, fresh.Key)
	e.NoError(err, "get an item")
	e.Expect("RST-36", "the id of the first item stored after the restart is above all before", c.Pod, i.CasID, gomega.BeNumerically(">", ch.highest))
	e.Expect("RST-35", "cas with an outdated id is refused", c.Pod, casAnswer(c.CompareAndSwap(ctx, ch.outdated)), gomega.Equal("EXISTS"))
	e.Expect("RST-35", "cas with the current id is accepted", c.Pod, casAnswer(c.CompareAndSwap(ctx, ch.current)), gomega.Equal("STORED"))
}

// casAnswer is the answer of memcached's protocol behind the error of a client.
func casAnswer(err error) string {
	switch {
	case err == nil:
		return "STORED"
	case errors.Is(err, memcached.ErrCASConflict):
		return "EXISTS"
	}
	return err.Error()
}
