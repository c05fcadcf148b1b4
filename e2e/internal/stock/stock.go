// Package stock has items whose values follow from their keys, so that they can
// be verified without having been kept.
package stock

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/memcached"
)

// Of returns items of different sizes, with an epoch in their keys that
// distinguishes them from those of another epoch.
func Of(epoch string) []memcached.Item {
	var items []memcached.Item
	for n, size := range []int{2, 100, 5000, 100_000, 700_000, 900_000} {
		items = append(items, Item(fmt.Sprintf("%s-%d", epoch, n), size))
	}
	return items
}

// Item is an item whose value, of size bytes, follows from its key and the size, and the flags from its key.
func Item(key string, size int) memcached.Item {
	return memcached.Item{Key: key, Value: valueOf(key, size), Flags: crc32.ChecksumIEEE([]byte(key))}
}

// valueOf is no part of the value of another size, so that one that was cut short is noticed.
func valueOf(key string, size int) []byte {
	value := make([]byte, size)
	stream := rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%s %d", key, size)))
	_, _ = stream.Read(value) // which never fails
	for i := range value {
		value[i] = 'A' + value[i]&31
	}
	return value
}

// Faults reports whether value and flags of an item that was fetched differ
// from those that [Item] gives it. Its value has at least one byte.
func Faults(i memcached.Item) (value, flags bool) {
	return len(i.Value) == 0 || !bytes.Equal(i.Value, valueOf(i.Key, len(i.Value))), i.Flags != crc32.ChecksumIEEE([]byte(i.Key))
}

// StoreIn stores items in memcached in a pod.
func StoreIn(ctx context.Context, e *framework.Env, p *corev1.Pod, items []memcached.Item) {
	c := cache.Open(ctx, e, p)
	defer c.Close()
	c.Store(ctx, e, items...)
}

// TryStoreIn is StoreIn for a memcached that may end meanwhile. The error knows
// whose fault it is.
func TryStoreIn(ctx context.Context, e *framework.Env, p *corev1.Pod, items []memcached.Item) error {
	c := cache.Open(ctx, e, p)
	defer c.Close()
	return c.Session.StoreMany(ctx, items)
}

// ServedBy is [Served] by memcached in a pod.
func ServedBy(ctx context.Context, e *framework.Env, p *corev1.Pod, items []memcached.Item) Tally {
	c := cache.Open(ctx, e, p)
	defer c.Close()
	return Served(ctx, e, c, items)
}

// Served counts how many of items memcached serves.
func Served(ctx context.Context, e *framework.Env, c *cache.Client, items []memcached.Item) Tally {
	var keys []string
	for _, i := range items {
		keys = append(keys, i.Key)
	}
	t := Tally{Of: len(items)}
	err := c.Session.FetchMany(ctx, keys, func(i memcached.Item) {
		if value, flags := Faults(i); value || flags {
			t.Wrong = i.Key
		} else {
			t.Right++
		}
	})
	e.NoError(err, "fetch %d items from %s", len(items), c.Pod)
	return t
}
