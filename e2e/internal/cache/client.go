package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// Client is a client of memcached in a pod, with a session for the commands
// that the client lacks.
type Client struct {
	*framework.Connection
	Session *memcached.Session
	Pod     string // its name, for failures
}

// Open connects to memcached in a pod, past the Service.
func Open(ctx context.Context, e *framework.Env, p *corev1.Pod) *Client {
	c := &Client{Connection: Connect(ctx, e, p), Pod: framework.Name("pod", p)}
	var err error
	c.Session, err = c.Connection.Session(ctx)
	e.NoError(err, "connect to memcached in %s", c.Pod)
	return c
}

// Close closes both connections. Errors about a pod that went away are of no
// interest.
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

// MustDo is Do for a command that memcached has to answer with want.
func (c *Client) MustDo(ctx context.Context, e *framework.Env, command, want string) {
	if answer := c.Do(ctx, e, command); answer != want {
		e.NoError(fmt.Errorf("memcached answered %q, want %q", answer, want), "send %q to memcached in %s", command, c.Pod)
	}
}

// Store stores items.
func (c *Client) Store(ctx context.Context, e *framework.Env, items ...memcached.Item) {
	e.NoError(c.Session.StoreMany(ctx, items), "store %d items in %s", len(items), c.Pod)
}

// Clock is memcached's own, to the second.
func (c *Client) Clock(ctx context.Context, e *framework.Env) time.Time {
	return clock(ctx, e, c.Connection)
}

func clock(ctx context.Context, e *framework.Env, c *framework.Connection) time.Time {
	return time.Unix(Number(e, Stats(ctx, e, c, ""), "time"), 0)
}

// Lag is how far memcached's clock, by which items expire, is behind that of
// this machine, to the second.
func (c *Client) Lag(ctx context.Context, e *framework.Env) time.Duration {
	return time.Since(c.Clock(ctx, e)).Round(time.Second)
}

// Tick waits until memcached's clock, which has whole seconds, has moved by
// two.
func (c *Client) Tick(ctx context.Context, e *framework.Env) { Tick(ctx, e, c.Connection) }

// Tick is that of a Client, for a connection.
func Tick(ctx context.Context, e *framework.Env, c *framework.Connection) {
	start := clock(ctx, e, c)
	err := e.Waiter.Until(ctx, wait.ItemExpires, "memcached's clock to advance", func(ctx context.Context) (bool, string, error) {
		passed := clock(ctx, e, c).Sub(start)
		return passed >= 2*time.Second, passed.String() + " have passed", nil
	})
	e.NoError(err, "wait for memcached's clock")
}

// Count reads a number of the general statistics.
func (c *Client) Count(ctx context.Context, e *framework.Env, name string) int64 {
	return Number(e, Stats(ctx, e, c.Connection, ""), name)
}

// Connect connects to memcached in a pod, past the Service.
func Connect(ctx context.Context, e *framework.Env, p *corev1.Pod) *framework.Connection {
	return e.ConnectPod(ctx, p, deploy.Port(p))
}

// Stats reads memcached's statistics: the general ones if sub is empty.
func Stats(ctx context.Context, e *framework.Env, c *framework.Connection, sub string) map[string]string {
	m, err := c.Stats(ctx, sub)
	e.NoError(err, "read memcached's statistics")
	return m
}

// Number is a statistic that counts something.
func Number(e *framework.Env, stats map[string]string, name string) int64 {
	n, err := strconv.ParseInt(stats[name], 10, 64)
	e.NoError(err, "read %s among memcached's statistics", name)
	return n
}

// Version is the release that memcached reports.
func Version(ctx context.Context, e *framework.Env, p *corev1.Pod) *version.Version {
	client := Connect(ctx, e, p)
	defer client.Close()
	v, err := version.ParseGeneric(Stats(ctx, e, client, "")["version"])
	e.NoError(err, "read the version of memcached in %s", framework.Name("pod", p))
	return v
}

// Miss is what [Lookup] returns for a key that memcached does not have.
const Miss = "a miss"

// Lookup gets the value of a key.
func Lookup(ctx context.Context, e *framework.Env, c *framework.Connection, key string) string {
	item, err := c.Get(ctx, key)
	if errors.Is(err, memcached.ErrCacheMiss) {
		return Miss
	}
	e.NoError(err, "get %s", key)
	return string(item.Value)
}

// ExpectKey expects that memcached in a pod serves value for key, which may be
// [Miss].
func ExpectKey(ctx context.Context, e *framework.Env, req spec.ReqID, check string, p *corev1.Pod, key, value string) {
	client := Connect(ctx, e, p)
	defer client.Close()
	e.Expect(req, check, framework.Name("pod", p), Lookup(ctx, e, client, key), gomega.Equal(value))
}

// ExpectStores expects that memcached in a pod stores a value and serves it.
func ExpectStores(ctx context.Context, e *framework.Env, req spec.ReqID, p *corev1.Pod) {
	client := Connect(ctx, e, p)
	defer client.Close()
	value := Marker()
	e.Expect(req, "a value can be stored", framework.Name("pod", p), client.Set(ctx, &memcached.Item{Key: "stored", Value: []byte(value)}), framework.Succeed)
	ExpectKey(ctx, e, req, "a value that was stored can be read", p, "stored", value)
}
