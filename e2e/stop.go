package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/stock"
	"pmem-memcached-e2e/e2e/internal/traffic"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/bench"
	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

var _ = framework.It(spec.Spec{
	ID: "RST-49", Title: "clients lose no acknowledged write when a large cache stops, and notice that it has stopped",
	Covers: []spec.ReqID{"RST-11", "RST-12", "RST-49", "RST-50", "RST-51"},
	Level:  spec.Must, Profile: spec.Persistent, Tags: []string{"restart"}, Budget: 10 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-11", workload.Bounded(e, e.Spec.Profile, deploy.Changes{Namespace: e.Namespace, VolumeSize: resource.MustParse("1Gi")}))
	p := workload.Pod(ctx, e, d)
	c := cache.Inspect(ctx, e, "RST-11", p)
	e.Expect("RST-12", "on a volume of 1 GiB memcached's user has room for the state file (bytes)", c.Name, c.FS.Available, gomega.BeNumerically(">=", c.FS.BlockSize))
	by, endClients := newBystander(ctx, e, d)
	items := stock.Of("before")
	stock.StoreIn(ctx, e, p, append(items, memcached.Item{Key: knocking, Value: []byte("old")}))

	e.Step("write with %d clients while the workload is scaled to 0", writers)
	ended := by.hang(ctx)
	stop := startWriters(ctx, e, p)
	began := time.Now()
	downLongEnough := workload.ScaleDown(ctx, e, d)
	acknowledged := stop()
	e.Expect("RST-49", "writes were acknowledged before the connections broke", c.Name, len(acknowledged), gomega.BeNumerically(">", 0))
	e.Note("writers", "%d writes of %d clients were acknowledged", len(acknowledged), writers)
	end := <-ended
	e.NoError(end.err, "wait for the end of a connection in %s", by.name)
	e.Expect("RST-50", "a client that waits sees the end of its connection", by.name, cache.Ended(end.ExecResult), gomega.Equal(cache.Success))
	limit := time.Duration(float64(endLimit) * e.Config.WaitScale.Max())
	e.Expect("RST-50", "a client that waits sees the end of its connection soon after the stop began (seconds)", by.name, end.at.Sub(began).Seconds(), gomega.BeNumerically("<", limit.Seconds()))

	e.Step("write while memcached is down")
	e.Expect("RST-51", "a write while memcached is down fails at the client", by.name, by.knock(ctx), gomega.Not(gomega.Equal(stored)))
	endClients()
	downLongEnough()
	e.Step("scale to 1")
	e.Require("RST-11", "on a volume of 1 GiB memcached serves again after a graceful shutdown", workload.Name(d), d.Scale(ctx, 1), framework.Succeed)

	q := workload.Pod(ctx, e, d)
	name := framework.Name("pod", q)
	e.Expect("RST-11", "on a volume of 1 GiB a restart is warm: items of every size are served", name, stock.ServedBy(ctx, e, q, items), stock.All())
	e.Expect("RST-49", "every write that was acknowledged before the stop is served", name, stock.ServedBy(ctx, e, q, acknowledged), stock.All())
	now := cache.Connect(ctx, e, q)
	defer now.Close()
	e.Expect("RST-51", "after the restart the value from before the stop is served, not the one that could not be written", name, cache.Lookup(ctx, e, now, knocking), gomega.Equal("old"))
})

const (
	writers  = 4
	perWrite = 50 // items, which memcached acknowledges together
	// endLimit is for the stop of the pod and the report of the end of the connection.
	endLimit = 20 * time.Second
)

// startWriters starts clients that write until their connections break. The
// function that it returns waits for that, and returns the acknowledged items.
func startWriters(ctx context.Context, e *framework.Env, p *corev1.Pod) (stop func() []memcached.Item) {
	var group sync.WaitGroup
	acknowledged := make([][]memcached.Item, writers)
	for w := range writers {
		c := cache.Open(ctx, e, p)
		group.Go(func() {
			defer c.Close()
			for n := 0; ; n += perWrite {
				var batch []memcached.Item
				for i := range perWrite {
					batch = append(batch, stock.Item(fmt.Sprintf("writer-%d-%07d", w, n+i), 100))
				}
				if c.Session.StoreMany(ctx, batch) != nil {
					return
				}
				acknowledged[w] = append(acknowledged[w], batch...)
			}
		})
	}
	return func() (all []memcached.Item) {
		group.Wait()
		for _, items := range acknowledged {
			all = append(all, items...)
		}
		return all
	}
}

// A bystander is a pod that reaches memcached through the Service, as other
// workloads of the cluster do.
type bystander struct {
	e       *framework.Env
	clients *bench.Clients
	name    string // of the pod
	addr    string
}

func newBystander(ctx context.Context, e *framework.Env, d *deploy.Deployment) (b bystander, end func()) {
	clients, end := traffic.Clients(ctx, e, d, 1)
	return bystander{e, clients, framework.Name("pod", clients.Pod()), traffic.Addr(ctx, e, d)}, end
}

// ending is how a connection ended.
type ending struct {
	cluster.ExecResult
	at  time.Time
	err error
}

// hang reads from a connection without any request, until its end.
func (b bystander) hang(ctx context.Context) <-chan ending {
	ended := make(chan ending, 1)
	limit, err := b.e.Waiter.Limit(wait.ScaledDown)
	b.e.NoError(err, "find how long a stop may take")
	go func() {
		r, err := b.clients.Talk(ctx, b.e.Cluster, b.addr, "", 0, limit)
		ended <- ending{r, time.Now(), err}
	}()
	return ended
}

const knocking = "knocking"

// knock writes an item and returns the answer, or why there is none.
func (b bystander) knock(ctx context.Context) string {
	r, err := b.clients.Talk(ctx, b.e.Cluster, b.addr, "set "+knocking+" 0 0 3\r\nnew\r\nquit\r\n", 0, answerLimit)
	b.e.NoError(err, "write from %s", b.name)
	if r.ExitCode == 0 && strings.TrimSpace(r.Stdout) == stored {
		return stored
	}
	return strings.TrimSpace(r.Stdout + " " + cache.Ended(r))
}

const stored = "STORED"
