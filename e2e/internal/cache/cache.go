// Package cache examines memcached in a pod: its process, its memory file and
// the filesystem of that, its statistics, its items, and the state of its
// container.
package cache

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/probe"
	"pmem-memcached-e2e/framework/spec"
)

// MiB is a mebibyte in bytes.
const MiB = 1 << 20

// StateSuffix is what memcached appends to the path of its memory file for the
// file that it saves its state in.
const StateSuffix = ".meta"

// Cache is memcached in a pod, whatever the names in its manifest.
type Cache struct {
	Pod     *corev1.Pod
	Name    string // of the pod, for failures
	Process probe.Process
	Command []string // of the container, also where its image has it
	File    probe.MemoryFile
	FS      probe.Filesystem // of the memory file
	Mount   probe.Mount      // of that filesystem
}

// Inspect examines the cache in a pod. The spec ends with req not met when
// memcached has no memory file.
func Inspect(ctx context.Context, e *framework.Env, req spec.ReqID, p *corev1.Pod) Cache {
	c := Cache{Pod: p, Name: framework.Name("pod", p), Process: Process(ctx, e, p)}
	path := MemoryFile(e, req, p, c.Process)
	container := deploy.MemcachedContainer(p.Spec)
	if c.Command = slices.Concat(container.Command, container.Args); len(container.Command) == 0 {
		first, err := probe.FirstArgs(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, c.Process.PID)
		e.NoError(err, "find what %s runs", c.Name)
		c.Command = first
	}
	at, err := probe.PlacementOf(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, path)
	e.NoError(err, "look at the memory file %s", path)
	c.File, c.FS, c.Mount = at.File, at.Filesystem, at.Mount
	e.Fact("volume, "+string(e.Spec.Profile), "filesystem", c.Mount.FSType+" "+strings.Join(c.Mount.Options, ","),
		fmt.Sprintf("/proc/self/mountinfo of %s: %s at %s", deploy.Container, c.Mount.Device, c.Mount.Path))
	e.Fact("volume, "+string(e.Spec.Profile), "memory file", fmt.Sprintf("%d MiB of %d MiB", c.File.Size/MiB, c.FS.Size/MiB), "stat and stat -f of "+path)
	return c
}

// Process finds memcached in a pod.
func Process(ctx context.Context, e *framework.Env, p *corev1.Pod) probe.Process {
	proc, err := probe.FindProcess(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, "memcached")
	e.NoError(err, "find memcached's process in %s", framework.Name("pod", p))
	return proc
}

// MemoryFile is the path that memcached was started with. The spec ends with
// req not met when there is none.
func MemoryFile(e *framework.Env, req spec.ReqID, p *corev1.Pod, proc probe.Process) string {
	const none = "no --memory-file"
	path, ok := proc.MemoryFile()
	if !ok || path == "" {
		path = none + " in " + strings.Join(proc.Args, " ")
	}
	e.Presume(req, "memcached runs with a memory file", framework.Name("pod", p), path, gomega.Not(gomega.HavePrefix(none)))
	return path
}

// StatMemoryFile examines the memory file of memcached in a pod. The spec ends
// with req not met when there is none.
func StatMemoryFile(ctx context.Context, e *framework.Env, req spec.ReqID, p *corev1.Pod) probe.MemoryFile {
	path := MemoryFile(e, req, p, Process(ctx, e, p))
	file, err := probe.StatMemoryFile(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, path)
	e.NoError(err, "look at the memory file %s", path)
	return file
}

// Marker is text that occurs nowhere else.
func Marker() string { return "marker-" + rand.String(40) }

// What [Search] returns.
const (
	Found    = "found"
	NotFound = "not found"
)

// searchBound is how much is read at each end of a file that is searched.
const searchBound = 1 << 30

// Search looks for text among the bytes of a file in the container memcached. Of one that is larger than 2 GiB it reads both ends, which
// the report notes; text that has to be there and is not in them may be elsewhere.
func Search(ctx context.Context, e *framework.Env, p *corev1.Pod, path, text string) string {
	s, err := probe.Find(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, path, text, searchBound)
	e.NoError(err, "search %s", path)
	if !s.Whole {
		e.Note("search", "of %s, with %d GiB, the first and the last GiB were searched", path, s.Size>>30)
	}
	if s.Found {
		return Found
	}
	return NotFound
}

// SearchStored is Search for text that has to be there. The spec ends when a large file was not read where it may be.
func SearchStored(ctx context.Context, e *framework.Env, p *corev1.Pod, path, text string) string {
	s, err := probe.Find(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, path, text, searchBound)
	if err == nil && !s.Found && !s.Whole {
		err = fmt.Errorf("it is not in the first or the last GiB, and the %d GiB between them are not read", s.Size>>30-2)
	}
	e.NoError(err, "find what was stored in %s", path)
	if s.Found {
		return Found
	}
	return NotFound
}

// What [StateFile] returns.
const (
	Present = "present"
	Absent  = "absent"
)

// StateFile looks for the state file that belongs to a memory file, in a pod
// that has the same volume.
func StateFile(ctx context.Context, e *framework.Env, p *corev1.Pod, memoryFile string) string {
	present, err := probe.Exists(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, memoryFile+StateSuffix)
	e.NoError(err, "look for the state file %s", memoryFile+StateSuffix)
	if present {
		return Present
	}
	return Absent
}

// What [Mapping] returns.
const (
	Mapped    = "mapped shared and writable"
	NotMapped = "not mapped shared and writable"
)

// Mapping is how the process of c maps its memory file.
func Mapping(ctx context.Context, e *framework.Env, c Cache) (string, error) {
	mapped, err := probe.Maps(ctx, e.Cluster, c.Pod.Namespace, c.Pod.Name, deploy.Container, c.Process.PID, c.File.Path)
	if mapped {
		return Mapped, err
	}
	return NotMapped, err
}

// RestartLog has the lines of memcached's log about its restart.
func RestartLog(ctx context.Context, e *framework.Env, p *corev1.Pod) string {
	log, err := e.Cluster.Logs(ctx, p.Namespace, p.Name, deploy.Container, false)
	e.NoError(err, "read the log of %s", framework.Name("pod", p))
	var found []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "[restart]") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return strings.Join(found, "; ")
}
