package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/e2e/internal/traffic"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/probe"
	"pmem-memcached-e2e/framework/spec"
)

const (
	tightLimit  = 32 * cache.MiB  // for each container of the pod
	wideVolume  = 8 * tightLimit  // of which the cache is several times the limit
	ownMemory   = 32 * cache.MiB  // that memcached may take in addition to its hash table: threads, connections, logger
	valueOfLoad = 10_000          // bytes
	loadTime    = 2 * time.Second // after everything was stored once
)

var _ = framework.ItEach(spec.Spec{
	Title:  "a full cache takes no main memory and evicts, and an ephemeral one is empty after a lack of memory",
	Covers: []spec.ReqID{"EPH-25", "MC-02", "MC-03", "MC-08", "DRV-05"},
	Level:  spec.Must, Needs: []spec.Feature{spec.DAX}, Tags: []string{"placement"}, Budget: 8 * time.Minute,
}.In(
	spec.Mode{ID: "EPH-25", Profile: spec.Ephemeral, Covers: []spec.ReqID{"EPH-15"}, Needs: []spec.Feature{spec.InlineVolume}},
	spec.Mode{ID: "EPH-25P", Profile: spec.Persistent}, // RST-60 makes one restart for lack of memory
), func(ctx context.Context, e *framework.Env) {
	ch := deploy.Changes{Namespace: e.Namespace, MemoryLimit: *resource.NewQuantity(tightLimit, resource.BinarySI)}
	if v, err := e.Manifest(e.Spec.Profile).Volume(); err == nil {
		ch.VolumeSize = *resource.NewQuantity(wideVolume, resource.BinarySI)
		if v.FSType == "xfs" || strings.HasSuffix(v.Class, "xfs") {
			ch.VolumeSize = resource.MustParse(storage.SizeForXFS)
		}
	}
	d := e.Deploy(ctx, "EPH-25", workload.Bounded(e, e.Spec.Profile, ch))
	p := workload.Pod(ctx, e, d)
	client := cache.Connect(ctx, e, p)
	limit := cache.Number(e, cache.Stats(ctx, e, client, ""), "limit_maxbytes")
	e.Expect("MC-02", "all memory for items is allocated before the first is stored (total_malloced)", framework.Name("pod", p),
		cache.Number(e, cache.Stats(ctx, e, client, "slabs"), "total_malloced"), gomega.Equal(limit))
	c := cache.Inspect(ctx, e, "EPH-25", p)
	if v, err := d.Volume(); err == nil {
		e.Expect("DRV-05", "the filesystem has less space than the volume (bytes)", c.Name, c.FS.Available+c.File.Allocated, gomega.BeNumerically("<", v.Size.Value()))
		e.Expect("DRV-05", "the memory file fits into the filesystem (bytes)", c.Name, c.File.Size, gomega.BeNumerically("<=", c.FS.Size))
	}

	overfill(ctx, e, d, limit)
	general := cache.Stats(ctx, e, client, "")
	e.Expect("MC-03", "a full cache evicts (evictions)", c.Name, cache.Number(e, general, "evictions"), gomega.BeNumerically(">", 0))
	e.Expect("MC-03", "the cache stays full (bytes in items)", c.Name, cache.Number(e, general, "bytes"), gomega.BeNumerically(">", limit/2))
	e.Expect("MC-02", "a full cache has allocated no more (total_malloced)", c.Name,
		cache.Number(e, cache.Stats(ctx, e, client, "slabs"), "total_malloced"), gomega.Equal(limit))
	expectOutsideMemory(ctx, e, c)
	expectItemsOnly(ctx, e, c, cache.Number(e, general, "hash_bytes"))
	client.Close()
	if e.Spec.Profile == spec.Ephemeral {
		expectCrashSurvived(ctx, e, c)
	}
})

// overfill stores one and a half times what the cache holds, from within the
// cluster, and continues to store and to read.
func overfill(ctx context.Context, e *framework.Env, d *deploy.Deployment, limit int64) {
	clients, end := traffic.Clients(ctx, e, d, 1)
	o := load.Default(traffic.Addr(ctx, e, d))
	o.Prefix, o.Connections, o.Values, o.Keys = "fill-", 8, load.Fixed(valueOfLoad), limit*3/2/valueOfLoad
	o.Gets, o.Sets, o.MayMiss, o.WarmUp, o.Duration, o.Timeout = 1, 1, true, 0, loadTime, 30*time.Second
	e.Step("store %d values of %d bytes in a cache of %d MiB", o.Keys, valueOfLoad, limit/cache.MiB)
	loaded := traffic.Loading(ctx, e, clients, d)
	r, err := clients.Load(ctx, o)
	if err != nil && strings.Contains(err.Error(), "SERVER_ERROR") {
		e.Require("MC-03", "a full cache takes new items", "Service "+o.Addr, err, framework.Succeed)
	}
	loaded(err, "fill the cache")
	end()
	traffic.Note(e, "load", r)
	traffic.ExpectRight(e, "MC-03", "Service "+o.Addr+" with a full cache", r)
}

// expectOutsideMemory expects that the kernel does not charge the cache to the
// container.
func expectOutsideMemory(ctx context.Context, e *framework.Env, c cache.Cache) {
	g, err := probe.MemoryOf(ctx, e.Cluster, c.Pod.Namespace, c.Pod.Name, deploy.Container)
	e.NoError(err, "read what is charged to %s", c.Name)
	e.Note("memory", "a cache of %d MiB, full: limit %d MiB, charged %.1f MiB, of it %.1f anonymous and %.1f of files",
		c.File.Size/cache.MiB, g.Limit/cache.MiB, float64(g.Current)/cache.MiB, float64(g.Anonymous)/cache.MiB, float64(g.File)/cache.MiB)
	e.Expect("EPH-25", "the kernel limits the container to less than a quarter of its cache (bytes)", c.Name, g.Limit,
		gomega.And(gomega.BeNumerically(">", 0), gomega.BeNumerically("<", c.File.Size/4)))
	e.Expect("EPH-25", "the kernel has ended no process at the limit (processes)", c.Name, g.Kills, gomega.BeZero())
	e.Expect("EPH-25", "pages of files that are charged are less than a tenth of the cache (bytes)", c.Name, g.File, gomega.BeNumerically("<", c.File.Size/10))
	now, err := e.Cluster.Client.CoreV1().Pods(c.Pod.Namespace).Get(ctx, c.Pod.Name, metav1.GetOptions{})
	e.NoError(err, "read %s", c.Name)
	e.Expect("EPH-25", "the container did not restart", c.Name,
		cache.Restarts(now), gomega.Equal(cache.Restarts(c.Pod)))
}

// expectItemsOnly expects that the memory file has the items only, and that the
// rest is in DRAM.
func expectItemsOnly(ctx context.Context, e *framework.Env, c cache.Cache, hashTable int64) {
	file, err := probe.StatMemoryFile(ctx, e.Cluster, c.Pod.Namespace, c.Pod.Name, deploy.Container, c.File.Path)
	e.NoError(err, "look at the memory file again")
	e.Expect("MC-08", "the memory file keeps its size (bytes)", c.Name, file.Size, gomega.Equal(c.File.Size))
	parts, err := probe.Residences(ctx, e.Cluster, c.Pod.Namespace, c.Pod.Name, deploy.Container, c.Process.PID)
	e.NoError(err, "read the mappings of memcached")
	var mapped, inFile, room, other int64
	for _, r := range parts {
		size := int64(r.End - r.Start)
		switch {
		case r.Path == c.File.Path:
			mapped += size
			inFile += r.Anonymous
		case r.Perms == "rw-p":
			room += size
			other += r.Anonymous
		}
	}
	e.Expect("MC-08", "the memory file is mapped as a whole (bytes)", c.Name, mapped, gomega.Equal(c.File.Size))
	e.Expect("MC-08", "no part of the mapped file is a private copy (bytes)", c.Name, inFile, gomega.BeZero())
	e.Expect("MC-08", "the process has private memory for the hash table outside the file (bytes)", c.Name, room, gomega.BeNumerically(">=", hashTable))
	e.Expect("MC-08", fmt.Sprintf("the process takes at most %d MiB of other memory in addition to the hash table (bytes)", ownMemory/cache.MiB), c.Name, other, gomega.BeNumerically("<=", hashTable+ownMemory))
}

// expectCrashSurvived expects the container to restart in its pod after the kernel
// has ended it for lack of memory.
func expectCrashSurvived(ctx context.Context, e *framework.Env, c cache.Cache) {
	client := cache.Connect(ctx, e, c.Pod)
	err := client.Set(ctx, &memcached.Item{Key: "before-crash", Value: []byte(cache.Marker())})
	e.NoError(err, "store a value")
	client.Close()
	e.Step("make the kernel end the container")
	p, err := workload.RunOutOfMemory(ctx, e, c.Pod)
	e.Require("EPH-15", "memcached is Ready again in its pod after it was ended", c.Name, err, framework.Succeed)
	e.Expect("EPH-15", "the container was killed, as in a crash (exit code)", c.Name, cache.LastExit(p), gomega.Equal(cache.Killed))

	again := cache.Inspect(ctx, e, "EPH-15", p)
	e.Expect("EPH-15", "the volume is the same", c.Name, again.Mount.Device, gomega.Equal(c.Mount.Device))
	e.Expect("EPH-15", "the memory file has the same size (bytes)", c.Name, again.File.Size, gomega.Equal(c.File.Size))
	client = cache.Connect(ctx, e, p)
	e.Expect("EPH-15", "the cache is empty (curr_items)", c.Name, cache.Stats(ctx, e, client, "")["curr_items"], gomega.Equal("0"))
	e.Expect("EPH-15", "a key from before the crash is a miss", c.Name, cache.Lookup(ctx, e, client, "before-crash"), gomega.Equal(cache.Miss))
}
