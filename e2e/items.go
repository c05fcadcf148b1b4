package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/wait"
)

// made is an item whose value and flags follow from its key, so that it can be
// verified without having been kept.
func made(key string, size int) memcached.Item {
	return memcached.Item{Key: key, Value: valueOf(key, size), Flags: crc32.ChecksumIEEE([]byte(key))}
}

func valueOf(key string, size int) []byte {
	value := make([]byte, size)
	stream := rand.NewChaCha8(sha256.Sum256([]byte(key)))
	_, _ = stream.Read(value) // which never fails
	for i := range value {
		value[i] = 'A' + value[i]&31
	}
	return value
}

// fault says in what an item that was fetched is not the one that was made.
func fault(i memcached.Item) (value, flags bool) {
	return !bytes.Equal(i.Value, valueOf(i.Key, len(i.Value))), i.Flags != crc32.ChecksumIEEE([]byte(i.Key))
}

// cached is a client of memcached in a pod with a session for what the client
// does not know.
type cached struct {
	*framework.Connection
	session *memcached.Session
	pod     string
}

func open(ctx context.Context, e *framework.Env, p *corev1.Pod) *cached {
	c := &cached{Connection: connect(ctx, e, p), pod: framework.Name("pod", p)}
	var err error
	c.session, err = memcached.Open(ctx, c.Addr)
	e.NoError(err, "connect to memcached in %s", c.pod)
	return c
}

func (c *cached) close() {
	_ = c.session.Close()
	c.Close()
}

// do has memcached carry out a command with a one-line answer.
func (c *cached) do(ctx context.Context, e *framework.Env, command string) string {
	lines, err := c.session.Do(ctx, command, func(string) bool { return true })
	e.NoError(err, "send %q to memcached in %s", command, c.pod)
	return lines[0]
}

func (c *cached) store(ctx context.Context, e *framework.Env, items ...memcached.Item) {
	e.NoError(c.session.StoreMany(ctx, items), "store %d items in %s", len(items), c.pod)
}

// listing is what memcached knows of all its items.
type listing map[string]memcached.Metadata

func (c *cached) list(ctx context.Context, e *framework.Env) listing {
	var items listing
	err := e.Waiter.Until(ctx, wait.Listing, "memcached in "+c.pod+" to list its items", func(ctx context.Context) (done bool, seen string, err error) {
		items, err = c.session.Metadump(ctx)
		if errors.Is(err, memcached.ErrBusy) {
			return false, err.Error(), nil
		}
		return err == nil, fmt.Sprintf("%d items", len(items)), wait.Stop(err)
	})
	e.NoError(err, "list the items of %s", c.pod)
	return items
}

// clock is memcached's own, to the second.
func (c *cached) clock(ctx context.Context, e *framework.Env) time.Time {
	return time.Unix(c.count(ctx, e, "time"), 0)
}

// count reads a number of the general statistics.
func (c *cached) count(ctx context.Context, e *framework.Env, name string) int64 {
	text := stats(ctx, e, c.Connection, "")[name]
	n, err := strconv.ParseInt(text, 10, 64)
	e.NoError(err, "read %s of %s", name, c.pod)
	return n
}

// has tells whether memcached serves key.
func (c *cached) has(ctx context.Context, e *framework.Env, key string) bool {
	_, err := c.Get(ctx, key)
	if err != nil && !errors.Is(err, memcached.ErrCacheMiss) {
		e.NoError(err, "get %s from %s", key, c.pod)
	}
	return err == nil
}

// stock are items of different sizes with an epoch in their keys, so that
// those of another epoch are told from them.
func stock(epoch string) []memcached.Item {
	var items []memcached.Item
	for n, size := range []int{2, 100, 5000, 100_000, 700_000, 900_000} {
		items = append(items, made(fmt.Sprintf("%s-%d", epoch, n), size))
	}
	return items
}

// served says how many of items a memcached serves, and whether any of them is
// wrong.
func served(ctx context.Context, e *framework.Env, c *cached, items []memcached.Item) string {
	var keys []string
	for _, i := range items {
		keys = append(keys, i.Key)
	}
	right, wrong := 0, ""
	err := c.session.FetchMany(ctx, keys, func(i memcached.Item) {
		if value, flags := fault(i); value || flags {
			wrong = ", wrong is " + i.Key
		} else {
			right++
		}
	})
	e.NoError(err, "fetch %d items from %s", len(items), c.pod)
	return fmt.Sprintf("%d of %d%s", right, len(items), wrong)
}

func all(items []memcached.Item) string  { return fmt.Sprintf("%d of %d", len(items), len(items)) }
func none(items []memcached.Item) string { return fmt.Sprintf("0 of %d", len(items)) }
