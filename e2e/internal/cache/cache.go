// Package cache has what memcached in a pod is and has: its process, its memory
// file and the filesystem of that, its statistics, its items and its state as
// the kubelet reports it.
package cache

import (
	"context"
	"fmt"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/version"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
)

const MiB = 1 << 20

// Cache is what is found out about memcached in a pod, whatever the names in
// its manifest.
type Cache struct {
	Pod     *corev1.Pod
	Name    string // of the pod, for failures
	Process pmem.Process
	File    pmem.MemoryFile
	Fs      pmem.Filesystem
	Mount   pmem.Mount // that the memory file lies on
}

// Process finds memcached in a pod.
func Process(ctx context.Context, e *framework.Env, p *corev1.Pod) pmem.Process {
	proc, err := pmem.FindProcess(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, "memcached")
	e.NoError(err, "find memcached's process in %s", framework.Name("pod", p))
	return proc
}

// MemoryFile is the path that memcached was started with. The spec ends with
// req not met when there is none.
func MemoryFile(e *framework.Env, req spec.ReqID, p *corev1.Pod, proc pmem.Process) string {
	path, _ := proc.MemoryFile()
	e.Require(req, "memcached runs with a memory file (--memory-file in its arguments "+strings.Join(proc.Args, " ")+")",
		framework.Name("pod", p), path, gomega.Not(gomega.BeEmpty()))
	return path
}

// Inspect finds out everything about the cache in a pod.
func Inspect(ctx context.Context, e *framework.Env, req spec.ReqID, p *corev1.Pod) Cache {
	c := Cache{Pod: p, Name: framework.Name("pod", p), Process: Process(ctx, e, p)}
	path := MemoryFile(e, req, p, c.Process)
	at, err := pmem.PlacementOf(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, path)
	e.NoError(err, "look at the memory file %s", path)
	c.File, c.Fs, c.Mount = at.File, at.Filesystem, at.Mount
	e.Fact("volume, "+string(e.Spec.Profile), "filesystem", c.Mount.FSType+" "+strings.Join(c.Mount.Options, ","),
		fmt.Sprintf("/proc/self/mountinfo of %s: %s at %s", deploy.Container, c.Mount.Device, c.Mount.Path))
	e.Fact("volume, "+string(e.Spec.Profile), "memory file", fmt.Sprintf("%d MiB of %d MiB", c.File.Size/MiB, c.Fs.Size/MiB), "stat and stat -f of "+path)
	return c
}

// Marker is text that occurs nowhere else.
func Marker() string { return "marker-" + rand.String(40) }

// Contains tells whether text is among the bytes of the memory file.
func Contains(ctx context.Context, e *framework.Env, p *corev1.Pod, path, text string) bool {
	found, err := pmem.Contains(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, path, text)
	e.NoError(err, "search %s", path)
	return found
}

func Image(p *corev1.Pod) string {
	for _, c := range p.Spec.Containers {
		if c.Name == deploy.Container {
			return c.Image
		}
	}
	return ""
}

const StateSuffix = ".meta" // memcached appends it to the memory file's path

// Version is what memcached says of itself.
func Version(ctx context.Context, e *framework.Env, p *corev1.Pod) *version.Version {
	client := Connect(ctx, e, p)
	defer client.Close()
	v, err := version.ParseGeneric(Stats(ctx, e, client, "")["version"])
	e.NoError(err, "read the version of memcached in %s", framework.Name("pod", p))
	return v
}
