package cache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/wait"
)

// Listing is memcached's list of all its items, by key.
type Listing map[string]memcached.Metadata

// List has memcached list its items until it has listed as many as it has, or the same twice: its crawler passes over an
// item that another thread uses at that moment, and expired items count but are not listed.
func (c *Client) List(ctx context.Context, e *framework.Env) Listing {
	var items Listing
	err := e.Waiter.Until(ctx, wait.Listing, "memcached in "+c.Pod+" to list its items", func(ctx context.Context) (done bool, seen string, err error) {
		last := items
		items, err = c.Session.Metadump(ctx)
		if errors.Is(err, memcached.ErrBusy) {
			return false, err.Error(), nil
		}
		if err != nil {
			return false, "", wait.Stop(err)
		}
		all := c.Count(ctx, e, "curr_items")
		return int64(len(items)) == all || maps.Equal(items, last), fmt.Sprintf("%d of %d items", len(items), all), nil
	})
	e.NoError(err, "list the items of %s", c.Pod)
	return items
}

// Keys are those with a prefix and something after it, in order.
func (l Listing) Keys(prefix string) []string {
	var keys []string
	for key := range l {
		if strings.HasPrefix(key, prefix) && key != prefix {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Next is the key that expires next, but not at once; empty if there is none.
func (l Listing) Next(now time.Time) string {
	best := ""
	for key, m := range l {
		if m.Expires > now.Unix()+2 && (best == "" || m.Expires < l[best].Expires) {
			best = key
		}
	}
	return best
}

// Differences lists how another listing differs from this one, except for
// items that have expired by now.
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

// shown is how many wrong keys a failure shows.
const shown = 5

// Faults are the first of what is wrong with keys, with their number; empty if
// nothing is.
func Faults(wrong []string) string {
	if len(wrong) == 0 {
		return ""
	}
	text := fmt.Sprintf("%d: %s", len(wrong), strings.Join(wrong[:min(len(wrong), shown)], ", "))
	if len(wrong) > shown {
		text += ", …"
	}
	return text
}
