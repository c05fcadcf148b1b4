package cache

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

func Connect(ctx context.Context, e *framework.Env, p *corev1.Pod) *framework.Connection {
	return e.ConnectPod(ctx, p, deploy.Port(p))
}

func Stats(ctx context.Context, e *framework.Env, c *framework.Connection, sub string) map[string]string {
	m, err := c.Stats(ctx, sub)
	e.NoError(err, "read memcached's statistics")
	return m
}

// Lag is how far memcached's clock, by which items expire, is behind that of
// this machine. All that memcached says of times follows its own clock.
func (c *Client) Lag(ctx context.Context, e *framework.Env) time.Duration {
	clock := c.Clock(ctx, e)
	return time.Since(clock).Round(time.Second)
}

// Client is a client of memcached in a pod with a session for what the client
// does not know.
type Client struct {
	*framework.Connection
	Session *memcached.Session
	Pod     string
}

func Open(ctx context.Context, e *framework.Env, p *corev1.Pod) *Client {
	c := &Client{Connection: Connect(ctx, e, p), Pod: framework.Name("pod", p)}
	var err error
	c.Session, err = memcached.Open(ctx, c.Addr)
	e.NoError(err, "connect to memcached in %s", c.Pod)
	return c
}

func (c *Client) Close() {
	_ = c.Session.Close()
	c.Connection.Close()
}

// Do has memcached carry out a command with a one-line answer.
func (c *Client) Do(ctx context.Context, e *framework.Env, command string) string {
	lines, err := c.Session.Do(ctx, command, func(string) bool { return true })
	e.NoError(err, "send %q to memcached in %s", command, c.Pod)
	return lines[0]
}

func (c *Client) Store(ctx context.Context, e *framework.Env, items ...memcached.Item) {
	e.NoError(c.Session.StoreMany(ctx, items), "store %d items in %s", len(items), c.Pod)
}

// Clock is memcached's own, to the second.
func (c *Client) Clock(ctx context.Context, e *framework.Env) time.Time {
	return time.Unix(c.Count(ctx, e, "time"), 0)
}

// Count reads a number of the general statistics.
func (c *Client) Count(ctx context.Context, e *framework.Env, name string) int64 {
	text := Stats(ctx, e, c.Connection, "")[name]
	n, err := strconv.ParseInt(text, 10, 64)
	e.NoError(err, "read %s of %s", name, c.Pod)
	return n
}

// Has tells whether memcached serves key.
func (c *Client) Has(ctx context.Context, e *framework.Env, key string) bool {
	_, err := c.Get(ctx, key)
	if err != nil && !errors.Is(err, memcached.ErrCacheMiss) {
		e.NoError(err, "get %s from %s", key, c.Pod)
	}
	return err == nil
}

// Number is a statistic that counts something.
func Number(e *framework.Env, stats map[string]string, name string) int64 {
	n, err := strconv.ParseInt(stats[name], 10, 64)
	e.NoError(err, "read %s among memcached's statistics", name)
	return n
}

// Tick waits until memcached's clock, which has whole seconds, has moved by
// two.
func (c *Client) Tick(ctx context.Context, e *framework.Env) {
	start := c.Clock(ctx, e)
	err := e.Waiter.Until(ctx, wait.ItemExpires, "memcached's clock to move on", func(ctx context.Context) (bool, string, error) {
		passed := c.Clock(ctx, e).Sub(start)
		return passed >= 2*time.Second, passed.String() + " have passed", nil
	})
	e.NoError(err, "wait for memcached's clock")
}

// ExpectKey reads a value past the Service.
func ExpectKey(ctx context.Context, e *framework.Env, req spec.ReqID, says string, p *corev1.Pod, key, value string) {
	client := Connect(ctx, e, p)
	defer client.Close()
	item, err := client.Get(ctx, key)
	if err != nil && !errors.Is(err, memcached.ErrCacheMiss) {
		e.NoError(err, "read %s", key)
	}
	got := "a miss"
	if err == nil {
		got = string(item.Value)
	}
	e.Expect(req, says, framework.Name("pod", p), got, gomega.Equal(value))
}

// ExpectStores stores a value and reads it again.
func ExpectStores(ctx context.Context, e *framework.Env, req spec.ReqID, p *corev1.Pod) {
	client := Connect(ctx, e, p)
	defer client.Close()
	value := Marker()
	e.Expect(req, "a value is stored", framework.Name("pod", p), client.Set(ctx, &memcached.Item{Key: "stored", Value: []byte(value)}), framework.Succeed)
	ExpectKey(ctx, e, req, "the value is read", p, "stored", value)
}
