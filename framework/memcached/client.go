// Package memcached talks to a memcached server: the classic commands through gomemcache, statistics
// and raw exchanges of the text protocol by itself.
package memcached

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// defaultTimeout bounds one operation whose context has no deadline.
const defaultTimeout = 10 * time.Second

// An Item is a key with its value, flags and expiry. Expiration is in seconds; 0 is never, and
// more than 30 days is a Unix time.
type Item = memcache.Item

// Results of commands that are not failures of the connection; compare with errors.Is.
var (
	ErrCacheMiss   = memcache.ErrCacheMiss
	ErrCASConflict = memcache.ErrCASConflict
	ErrNotStored   = memcache.ErrNotStored
)

// Terms are what every exchange on a connection is subject to.
type Terms struct {
	// Limit bounds an exchange, whatever the deadline of its context; 0: an exchange whose context has no
	// deadline is bounded by 10 seconds, and others by the deadline alone.
	Limit time.Duration
	// Judge finds out whose fault an error of the connection is, and returns an error that knows; nil:
	// nobody does.
	Judge func(context.Context, error) error
}

// deadline is when an exchange that begins now has to end.
func (t Terms) deadline(ctx context.Context) time.Time {
	limit := t.Limit
	deadline, ok := ctx.Deadline()
	if limit == 0 {
		if ok {
			return deadline
		}
		limit = defaultTimeout
	}
	if own := time.Now().Add(limit); !ok || own.Before(deadline) {
		return own
	}
	return deadline
}

func (t Terms) judge(ctx context.Context, err error) error {
	if err == nil || t.Judge == nil {
		return err
	}
	return t.Judge(ctx, err)
}

// A Client runs one command at a time over a connection to one server, bounded as its Terms say. It is safe for concurrent use; for commands
// in parallel dial several.
type Client struct {
	Terms
	addr string

	mu sync.Mutex
	mc *memcache.Client

	connMu sync.Mutex
	conn   net.Conn // the connection that mc uses
}

// Dial connects to the server at addr, host:port, and verifies that it answers.
func Dial(ctx context.Context, addr string) (*Client, error) {
	servers := new(memcache.ServerList)
	if err := servers.SetServers(addr); err != nil {
		return nil, fmt.Errorf("memcached at %s: %w", addr, err)
	}
	c := &Client{addr: addr, mc: memcache.NewFromSelector(servers)}
	c.mc.MaxIdleConns = 1
	c.mc.DialContext = c.dial
	if err := c.do(ctx, "version", c.mc.Ping); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err == nil {
		c.connMu.Lock()
		c.conn = conn
		c.connMu.Unlock()
	}
	return conn, err
}

// do runs one operation of gomemcache, which knows time-outs only, within the bounds of ctx.
func (c *Client) do(ctx context.Context, what string, operation func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	timeout := time.Until(c.deadline(ctx))
	if ctx.Err() != nil {
		return fmt.Errorf("memcached at %s: %s: %w", c.addr, what, context.Cause(ctx))
	}
	if timeout <= 0 {
		return fmt.Errorf("memcached at %s: %s: %w", c.addr, what, context.DeadlineExceeded)
	}
	c.mc.Timeout = timeout
	release := context.AfterFunc(ctx, c.interrupt)
	err := operation()
	if !release() && err != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	switch {
	case errors.Is(err, ErrCacheMiss), errors.Is(err, ErrCASConflict), errors.Is(err, ErrNotStored):
		return fmt.Errorf("memcached at %s: %s: %w", c.addr, what, err)
	case err != nil:
		return c.judge(ctx, fmt.Errorf("memcached at %s: %s: %w", c.addr, what, err))
	}
	return nil
}

func (c *Client) interrupt() {
	c.connMu.Lock()
	defer c.connMu.Unlock()
	if c.conn != nil {
		// Whoever waits on the connection gets a time-out error, upon which it is closed.
		_ = c.conn.SetDeadline(time.Unix(1, 0))
	}
}

// Set stores an item unconditionally.
func (c *Client) Set(ctx context.Context, item *Item) error {
	return c.do(ctx, "set "+item.Key, func() error { return c.mc.Set(item) })
}

// Add stores an item if the key has none; else the error is ErrNotStored.
func (c *Client) Add(ctx context.Context, item *Item) error {
	return c.do(ctx, "add "+item.Key, func() error { return c.mc.Add(item) })
}

// CompareAndSwap stores an item that was got before if nobody changed it since; else the error is
// ErrCASConflict, or ErrCacheMiss when it is gone.
func (c *Client) CompareAndSwap(ctx context.Context, item *Item) error {
	return c.do(ctx, "cas "+item.Key, func() error { return c.mc.CompareAndSwap(item) })
}

// Get returns the item stored under key; the error is ErrCacheMiss when there is none.
func (c *Client) Get(ctx context.Context, key string) (item *Item, err error) {
	err = c.do(ctx, "get "+key, func() error {
		item, err = c.mc.Get(key)
		return err
	})
	return item, err
}

// GetMulti returns the items stored under keys; those without are missing in the result.
func (c *Client) GetMulti(ctx context.Context, keys []string) (items map[string]*Item, err error) {
	err = c.do(ctx, fmt.Sprintf("get of %d keys", len(keys)), func() error {
		items, err = c.mc.GetMulti(keys)
		return err
	})
	return items, err
}

// Touch sets the expiry of key, in seconds; the error is ErrCacheMiss when there is no item.
func (c *Client) Touch(ctx context.Context, key string, seconds int32) error {
	return c.do(ctx, "touch "+key, func() error { return c.mc.Touch(key, seconds) })
}

// Delete removes the item under key; the error is ErrCacheMiss when there is none.
func (c *Client) Delete(ctx context.Context, key string) error {
	return c.do(ctx, "delete "+key, func() error { return c.mc.Delete(key) })
}

// Increment adds delta to a decimal value and returns the sum; the error is ErrCacheMiss when there
// is no item.
func (c *Client) Increment(ctx context.Context, key string, delta uint64) (sum uint64, err error) {
	err = c.do(ctx, "incr "+key, func() error {
		sum, err = c.mc.Increment(key, delta)
		return err
	})
	return sum, err
}

// FlushAll makes all items expire.
func (c *Client) FlushAll(ctx context.Context) error {
	return c.do(ctx, "flush_all", c.mc.FlushAll)
}

// Close closes the connection.
func (c *Client) Close() error { return c.mc.Close() }
