package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/wait"
)

// Differences names what another listing has not in common with this one,
// beyond items that have expired by now.
func (l Listing) Differences(other Listing, now time.Time) []string {
	var found []string
	for key, m := range l {
		o, there := other[key]
		switch expired := m.Expires >= 0 && m.Expires <= now.Unix()+1; {
		case !there && !expired:
			found = append(found, key+" is missing")
		case there && m.CAS != o.CAS:
			found = append(found, fmt.Sprintf("%s has CAS id %d, not %d", key, o.CAS, m.CAS))
		case there && m.Size != o.Size:
			found = append(found, fmt.Sprintf("%s has %d bytes, not %d", key, o.Size, m.Size))
		}
	}
	for key := range other {
		if _, there := l[key]; !there {
			found = append(found, key+" was not there before")
		}
	}
	slices.Sort(found)
	return found
}

func HasPrefix(prefix string) func(string, memcached.Metadata) bool {
	return func(key string, _ memcached.Metadata) bool {
		return len(key) > len(prefix) && key[:len(prefix)] == prefix
	}
}

// Next is the key that expires next, but not at once.
func (l Listing) Next(now time.Time) string {
	best := ""
	for key, m := range l {
		if m.Expires > now.Unix()+2 && (best == "" || m.Expires < l[best].Expires) {
			best = key
		}
	}
	return best
}

// Listing is what memcached knows of all its items.
type Listing map[string]memcached.Metadata

func (c *Client) List(ctx context.Context, e *framework.Env) Listing {
	var items Listing
	err := e.Waiter.Until(ctx, wait.Listing, "memcached in "+c.Pod+" to list its items", func(ctx context.Context) (done bool, seen string, err error) {
		items, err = c.Session.Metadump(ctx)
		if errors.Is(err, memcached.ErrBusy) {
			return false, err.Error(), nil
		}
		return err == nil, fmt.Sprintf("%d items", len(items)), wait.Stop(err)
	})
	e.NoError(err, "list the items of %s", c.Pod)
	return items
}

// Keys are those with a prefix, in order.
func (l Listing) Keys(prefix string) []string {
	var keys []string
	for key, m := range l {
		if HasPrefix(prefix)(key, m) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
