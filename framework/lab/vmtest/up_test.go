//go:build vm

package vmtest

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/ledger"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/wait"
)

// BenchmarkUp reports the seconds from the start of up until the API server
// answers, the nodes are Ready, PMEM-CSI offers memory on each, and cluster DNS
// is ready, all of which a lab from a snapshot reports at once; until up is done;
// and until a memcached that was deployed then has answered. All parts are in
// the cache, and the snapshot is.
func BenchmarkUp(b *testing.B) {
	for _, nodes := range []int{1, 2} {
		for _, way := range []string{"cold", "snapshot"} {
			b.Run(fmt.Sprintf("nodes=%d/from=%s", nodes, way), func(b *testing.B) {
				opts, err := environment()
				if err != nil {
					b.Fatal(err)
				}
				opts.Name, opts.Machines.Nodes, opts.Snapshot = "bench", nodes, way == "snapshot"
				// The first one may have to build, or to take the snapshot.
				timeUp(b, opts)
				sums := map[string]time.Duration{}
				for b.Loop() {
					for name, took := range timeUp(b, opts) {
						sums[name] += took
					}
				}
				for name, sum := range sums {
					b.ReportMetric(sum.Seconds()/float64(b.N), name+"-s")
				}
				b.ReportMetric(0, "ns/op") // the same as the last, and more
			})
		}
	}
}

// milestones are the ends of these waits.
var milestones = map[wait.Name]string{
	wait.LabAPI: "api", wait.LabNode: "node", wait.LabDriver: "driver", wait.LabDNS: "dns", wait.LabAwake: "awake",
}

// timeUp brings a lab up, has memcached answer in it, and removes it.
func timeUp(b *testing.B, opts lab.Options) map[string]time.Duration {
	b.Helper()
	var output bytes.Buffer
	opts.Progress = progress.Lines(&output)
	took := map[string]time.Duration{}
	start := time.Now()
	records := make(chan string, 100)
	opts.Waiter.Observe = func(r wait.Record) {
		if name := milestones[r.Name]; name != "" {
			records <- name
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for name := range records {
			took[name] = time.Since(start) // of several nodes the last one counts
		}
	}()
	l, err := lab.New(opts)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := l.Down(context.WithoutCancel(during(b))); err != nil {
			b.Error(err)
		}
	}()
	if err := l.Up(during(b)); err != nil {
		b.Fatalf("%v\n%s", err, &output)
	}
	close(records)
	<-done
	took["up"] = time.Since(start)
	if err := useMemcached(b, l); err != nil {
		b.Fatal(err)
	}
	took["memcached"] = time.Since(start)
	return took
}

// useMemcached deploys the ephemeral mode and stores and gets a value.
func useMemcached(b *testing.B, l *lab.Lab) error {
	ctx := during(b)
	c, err := cluster.Connect(ctx, l.Kubeconfig(), plane.KubectlContext, wait.Waiter{})
	if err != nil {
		return err
	}
	images, err := l.MemcachedImages()
	if err != nil {
		return err
	}
	m, err := deploy.Load("../../../manifests/ephemeral", deploy.Changes{MemcachedImage: images[0]})
	if err != nil {
		return err
	}
	d, err := m.Apply(ctx, c, wait.Waiter{}, &ledger.Ledger{}) // removed with the lab
	if err != nil {
		return err
	}
	if err := d.Ready(ctx); err != nil {
		return err
	}
	f, err := c.ForwardService(ctx, d.Namespace, d.Service, d.ServicePort)
	if err != nil {
		return err
	}
	defer f.Close()
	client := memcache.New(f.Addr)
	client.Timeout = 10 * time.Second
	if err := client.Set(&memcache.Item{Key: "demo_key", Value: []byte("I am PMEM.")}); err != nil {
		return err
	}
	item, err := client.Get("demo_key")
	if err == nil && string(item.Value) != "I am PMEM." {
		err = fmt.Errorf("got %q", item.Value)
	}
	return err
}
