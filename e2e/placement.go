package e2e

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
)

const (
	tightLimit  = 32 * mib        // for each container of the pod
	wideVolume  = 8 * tightLimit  // of which the cache is several times the limit
	ownMemory   = 32 * mib        // that memcached may take beside its hash table: threads, connections, logger
	valueOfLoad = 10_000          // bytes
	loadTime    = 2 * time.Second // after everything was stored once
)

var _ = framework.It(spec.Spec{
	ID: "EPH-25", Title: "a full cache takes no main memory and evicts, and after a lack of memory the pod starts again on its volume, empty",
	Covers: []spec.ReqID{"EPH-25", "EPH-15", "MC-02", "MC-03", "MC-08", "DRV-05"},
	Level:  spec.Must, Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume, spec.DAX},
	Tags: []string{"placement", "restart"}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	ch := deploy.Changes{Namespace: e.Namespace, MemoryLimit: *resource.NewQuantity(tightLimit, resource.BinarySI)}
	if v, err := e.Manifest(spec.Ephemeral).Volume(); err == nil {
		ch.VolumeSize = *resource.NewQuantity(wideVolume, resource.BinarySI)
		if v.FSType == "xfs" {
			ch.VolumeSize = resource.MustParse(forXFS)
		}
	}
	d := e.Deploy(ctx, "EPH-25", e.Variant(spec.Ephemeral, ch))
	p := pod(ctx, e, d)
	client := connect(ctx, e, p)
	limit := number(e, stats(ctx, e, client, ""), "limit_maxbytes")
	e.Expect("MC-02", "all memory for items is taken before the first is stored (total_malloced)", framework.Name("pod", p),
		number(e, stats(ctx, e, client, "slabs"), "total_malloced"), gomega.Equal(limit))
	c := inspect(ctx, e, "EPH-25", p)
	if v, err := d.Volume(); err == nil {
		e.Expect("DRV-05", "the filesystem offers less than the volume has, and the memory file is within it (bytes)", c.name,
			[]bool{c.fs.Available+c.file.Allocated < v.Size.Value(), c.file.Size <= c.fs.Size}, gomega.Equal([]bool{true, true}))
	}

	overfill(ctx, e, d, limit)
	general := stats(ctx, e, client, "")
	e.Expect("MC-03", "a full cache evicts (evictions)", c.name, number(e, general, "evictions"), gomega.BeNumerically(">", 0))
	e.Expect("MC-03", "the cache stays full (bytes in items)", c.name, number(e, general, "bytes"), gomega.BeNumerically(">", limit/2))
	e.Expect("MC-02", "a full cache has taken no more (total_malloced)", c.name,
		number(e, stats(ctx, e, client, "slabs"), "total_malloced"), gomega.Equal(limit))
	expectOutsideMemory(ctx, e, c)
	expectItemsOnly(ctx, e, c, number(e, general, "hash_bytes"))
	client.Close()
	expectCrashSurvived(ctx, e, c)
})

// number is a statistic that counts something.
func number(e *framework.Env, stats map[string]string, name string) int64 {
	n, err := strconv.ParseInt(stats[name], 10, 64)
	e.NoError(err, "read %s among memcached's statistics", name)
	return n
}

// overfill stores half as much again as the cache holds, from within the
// cluster, and goes on to store and to read.
func overfill(ctx context.Context, e *framework.Env, d *deploy.Deployment, limit int64) {
	clients, end := loadClients(ctx, e, d, 1)
	o := load.Default(serviceAddr(ctx, e, d))
	o.Prefix, o.Connections, o.Values, o.Keys = "fill-", 8, load.Fixed(valueOfLoad), limit*3/2/valueOfLoad
	o.Gets, o.Sets, o.MayMiss, o.WarmUp, o.Duration, o.Timeout = 1, 1, true, 0, loadTime, 30*time.Second
	e.Step("store %d values of %d bytes in a cache of %d MiB", o.Keys, valueOfLoad, limit/mib)
	r, err := clients.Load(ctx, o)
	if err != nil && strings.Contains(err.Error(), "SERVER_ERROR") {
		e.Require("MC-03", "a full cache takes new items", "Service "+o.Addr, err, framework.Succeed)
	}
	e.NoError(err, "fill the cache")
	end()
	e.Note("load", r.String())
	expectRight(e, "MC-03", "Service "+o.Addr+" with a full cache", r)
}

// expectOutsideMemory examines that the kernel does not charge the cache to
// the container.
func expectOutsideMemory(ctx context.Context, e *framework.Env, c cache) {
	g, err := pmem.MemoryOf(ctx, e.Cluster, c.pod.Namespace, c.pod.Name, deploy.Container)
	e.NoError(err, "read what is charged to %s", c.name)
	e.Note("memory", fmt.Sprintf("a cache of %d MiB, full: limit %d MiB, charged %.1f MiB, of it %.1f anonymous and %.1f of files",
		c.file.Size/mib, g.Limit/mib, float64(g.Current)/mib, float64(g.Anonymous)/mib, float64(g.File)/mib))
	e.Expect("EPH-25", "the kernel limits the container to less than a quarter of its cache (bytes)", c.name, g.Limit,
		gomega.And(gomega.BeNumerically(">", 0), gomega.BeNumerically("<", c.file.Size/4)))
	e.Expect("EPH-25", "no process was ended because the limit was reached", c.name, g.Kills, gomega.BeZero())
	e.Expect("EPH-25", "pages of files that are charged are less than a tenth of the cache (bytes)", c.name, g.File, gomega.BeNumerically("<", c.file.Size/10))
	now, err := e.Cluster.Client.CoreV1().Pods(c.pod.Namespace).Get(ctx, c.pod.Name, getOptions)
	e.NoError(err, "read %s", c.name)
	e.Expect("EPH-25", "the container did not restart ("+lastEnd(now)+")", c.name,
		memcachedStatus(now).RestartCount, gomega.Equal(memcachedStatus(c.pod).RestartCount))
}

// expectItemsOnly examines that the memory file has no more than the items, as
// memcached has filled it with pages for those, and that the rest is in DRAM.
func expectItemsOnly(ctx context.Context, e *framework.Env, c cache, hashTable int64) {
	file, err := pmem.StatMemoryFile(ctx, e.Cluster, c.pod.Namespace, c.pod.Name, deploy.Container, c.file.Path)
	e.NoError(err, "look at the memory file again")
	e.Expect("MC-08", "the memory file keeps its size (bytes)", c.name, file.Size, gomega.Equal(c.file.Size))
	parts, err := pmem.Residences(ctx, e.Cluster, c.pod.Namespace, c.pod.Name, deploy.Container, c.process.PID)
	e.NoError(err, "read the mappings of memcached")
	var mapped, inFile, room, beside int64
	for _, r := range parts {
		size := int64(r.End - r.Start)
		switch {
		case r.Path == c.file.Path:
			mapped += size
			inFile += r.Anonymous
		case r.Perms == "rw-p":
			room += size
			beside += r.Anonymous
		}
	}
	e.Expect("MC-08", "the memory file is mapped as a whole (bytes)", c.name, mapped, gomega.Equal(c.file.Size))
	e.Expect("MC-08", "nothing of the mapped file is a private copy (bytes)", c.name, inFile, gomega.BeZero())
	e.Expect("MC-08", "the process has other memory of its own for the hash table (bytes)", c.name, room, gomega.BeNumerically(">=", hashTable))
	e.Expect("MC-08", fmt.Sprintf("it takes at most %d MiB beside the hash table (bytes)", ownMemory/mib), c.name, beside, gomega.BeNumerically("<=", hashTable+ownMemory))
}

// exhaust takes memory until the kernel ends what is in the container. The
// first process of a container cannot be killed from within.
const exhaust = "exec tail /dev/zero"

// runOutOfMemory has the kernel end the container, and returns the pod once
// memcached is Ready again in it.
func runOutOfMemory(ctx context.Context, e *framework.Env, p *corev1.Pod) (*corev1.Pod, error) {
	// The command goes with the container, and with it perhaps the answer.
	ended, err := e.Cluster.Exec(ctx, p.Namespace, p.Name, deploy.Container, "sh", "-c", exhaust)
	e.Note("lack of memory", fmt.Sprintf("exit code %d of the command that took memory, %v", ended.ExitCode, err))
	return awaitRestartInPod(ctx, e, p)
}

// expectCrashSurvived examines that the container comes back in its pod after
// the kernel has ended it for want of memory.
func expectCrashSurvived(ctx context.Context, e *framework.Env, c cache) {
	client := connect(ctx, e, c.pod)
	err := client.Set(ctx, &memcached.Item{Key: "before-crash", Value: []byte(marker())})
	e.NoError(err, "store a value")
	client.Close()
	e.Step("have the kernel end the container")
	p, err := runOutOfMemory(ctx, e, c.pod)
	e.Require("EPH-15", "memcached is Ready again in its pod after it was ended", c.name, err, framework.Succeed)
	e.Expect("EPH-15", "it was killed, as after a crash ("+lastEnd(p)+")", c.name, lastExit(p), gomega.Equal(killed))

	again := inspect(ctx, e, "EPH-15", p)
	e.Expect("EPH-15", "the volume is the same", c.name, again.mount.Device, gomega.Equal(c.mount.Device))
	e.Expect("EPH-15", "the memory file has the same size (bytes)", c.name, again.file.Size, gomega.Equal(c.file.Size))
	client = connect(ctx, e, p)
	e.Expect("EPH-15", "the cache is empty (curr_items)", c.name, stats(ctx, e, client, "")["curr_items"], gomega.Equal("0"))
	_, err = client.Get(ctx, "before-crash")
	e.Expect("EPH-15", "a key from before the crash is a miss", c.name, errors.Is(err, memcached.ErrCacheMiss), gomega.BeTrue())
}
