package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/onsi/gomega"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/stock"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

var _ = framework.It(spec.Spec{
	ID: "RST-27", Title: "items expire at their time across a restart: while memcached is down and afterwards",
	Covers: []spec.ReqID{"RST-27", "RST-28", "RST-29", "RST-30", "RST-31"},
	Level:  spec.Must, Profile: spec.Persistent, Tags: []string{"restart"}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-27", e.Manifest(spec.Persistent))
	c := cache.Open(ctx, e, workload.Pod(ctx, e, d))
	storeWithExpiry(ctx, e, c)
	before := c.List(ctx, e)
	gone := storeShortLived(ctx, e, c)
	lag := c.Lag(ctx, e)
	c.Close()

	downLongEnough := workload.ScaleDown(ctx, e, d)
	downLongEnough()
	e.NoError(e.Waiter.Until(ctx, wait.Downtime, "items to expire while memcached is down", func(context.Context) (bool, string, error) {
		return time.Now().After(gone), time.Until(gone).Round(time.Second).String() + " left", nil
	}), "stay down")
	workload.ScaleUp(ctx, e, "RST-27", d)

	c = cache.Open(ctx, e, workload.Pod(ctx, e, d))
	e.Expect("RST-27", "memcached's clock has counted the time that it was down (seconds that it lags behind)", c.Pod, (c.Lag(ctx, e) - lag).Seconds(), gomega.BeNumerically("~", 0, lagLimit.Seconds()))
	soonest := before.Next(c.Clock(ctx, e))
	alive := cache.Lookup(ctx, e, c.Connection, soonest)
	expectExpiries(ctx, e, c, before)
	expectGone(ctx, e, c)
	expectExpiry(ctx, e, c, soonest, before[soonest].Expires, alive)
})

// lagLimit allows for whole seconds, and for the time that an answer takes.
const lagLimit = 2 * time.Second

// unexpired is the value of items that have an expiry.
const unexpired = "x"

// storeWithExpiry stores items without an expiry, and with one that the restart
// leaves in the future for some of them, however long it takes.
func storeWithExpiry(ctx context.Context, e *framework.Env, c *cache.Client) {
	e.Step("store items with and without an expiry")
	item := func(key string, expiration int64) memcached.Item {
		return memcached.Item{Key: key, Value: []byte(unexpired), Expiration: int32(expiration)}
	}
	items := append(stock.Of("lasting"), item("touched-longer", 20), item("touched-shorter", 0))
	now := c.Clock(ctx, e).Unix()
	for n := range 24 {
		left := int64(20 + 10*n)
		items = append(items, item(fmt.Sprintf("lives-%d", left), left), item(fmt.Sprintf("until-%d", left), now+left+5))
	}
	c.Store(ctx, e, items...)
	e.NoError(c.Touch(ctx, "touched-longer", 900), "touch an item")
	e.NoError(c.Touch(ctx, "touched-shorter", 600), "touch an item")
}

// Keys of items that expire while memcached is down.
const (
	goneRelative = "gone-relative"
	goneAbsolute = "gone-absolute"
	goneTouched  = "gone-touched"
	shortLife    = 4 * time.Second
)

// storeShortLived returns the time of this machine's clock at which the items
// have expired.
func storeShortLived(ctx context.Context, e *framework.Env, c *cache.Client) (gone time.Time) {
	e.Step("store items that expire while memcached is down")
	seconds := int32(shortLife.Seconds())
	c.Store(ctx, e, memcached.Item{Key: goneRelative, Value: []byte(unexpired), Expiration: seconds},
		memcached.Item{Key: goneAbsolute, Value: []byte(unexpired), Expiration: int32(c.Clock(ctx, e).Unix()) + seconds},
		memcached.Item{Key: goneTouched, Value: []byte(unexpired)})
	e.NoError(c.Touch(ctx, goneTouched, seconds), "touch an item")
	gone = time.Now().Add(shortLife + 2*time.Second)
	for _, key := range []string{goneRelative, goneAbsolute, goneTouched} {
		if cache.Lookup(ctx, e, c.Connection, key) != unexpired {
			e.NoError(errors.New("it is a miss"), "see %s before the restart", key)
		}
	}
	return gone
}

func expectGone(ctx context.Context, e *framework.Env, c *cache.Client) {
	e.Expect("RST-27", "an item that expired while memcached was down is a miss", c.Pod, cache.Lookup(ctx, e, c.Connection, goneRelative), gomega.Equal(cache.Miss))
	e.Expect("RST-29", "an item whose absolute expiry passed while memcached was down is a miss", c.Pod, cache.Lookup(ctx, e, c.Connection, goneAbsolute), gomega.Equal(cache.Miss))
	e.Expect("RST-31", "an item that a touch made expire while memcached was down is a miss", c.Pod, cache.Lookup(ctx, e, c.Connection, goneTouched), gomega.Equal(cache.Miss))
}

// expectExpiries compares memcached's list of items with that before the restart.
func expectExpiries(ctx context.Context, e *framework.Env, c *cache.Client, before cache.Listing) {
	after := c.List(ctx, e)
	e.Step("compare the expiry of %d items with that before the restart", len(after))
	for _, of := range []struct {
		req     spec.ReqID
		check   string
		prefix  string
		expires bool
	}{
		{"RST-30", "items without an expiry still have none", "lasting-", false},
		{"RST-28", "items with a relative expiry keep it, the downtime included", "lives-", true},
		{"RST-29", "items with an absolute expiry keep it", "until-", true},
		{"RST-31", "items keep the expiry of the last touch", "touched-", true},
	} {
		var wrong []string
		seen := 0
		for key, m := range after {
			if !strings.HasPrefix(key, of.prefix) {
				continue
			}
			seen++
			was := before[key]
			// The clock of memcached has whole seconds, and so has the time of its start.
			off := m.Expires - was.Expires
			switch {
			case !of.expires && m.Expires >= 0:
				wrong = append(wrong, fmt.Sprintf("%s expires at %d", key, m.Expires))
			case of.expires && (off < -1 || off > 1 || m.Expires < 0):
				wrong = append(wrong, fmt.Sprintf("%s expires at %d, not %d", key, m.Expires, was.Expires))
			}
		}
		if seen == 0 {
			wrong = []string{"memcached lists no such item"}
		}
		e.Expect(of.req, of.check, c.Pod, cache.Faults(wrong), gomega.BeEmpty())
	}
}

// expectExpiry waits for the time at which key expires. alive is what it had
// before.
func expectExpiry(ctx context.Context, e *framework.Env, c *cache.Client, key string, expires int64, alive string) {
	e.Step("wait until %s expires", key)
	object := fmt.Sprintf("%s, key %s", c.Pod, key)
	e.Expect("RST-28", "after the restart an item is served until it expires", object, alive, gomega.Equal(unexpired))
	err := e.Waiter.Until(ctx, wait.ItemExpires, fmt.Sprintf("the time at which %s expires", key), func(ctx context.Context) (bool, string, error) {
		left := expires + 2 - c.Clock(ctx, e).Unix()
		return left <= 0, fmt.Sprintf("%d s left", left), nil
	})
	e.NoError(err, "wait for the time at which %s expires", key)
	e.Expect("RST-28", "after the restart an item is a miss once it has expired", object, cache.Lookup(ctx, e, c.Connection, key), gomega.Equal(cache.Miss))
}
