package e2e

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
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

const (
	mib              = 1 << 20
	defaultMountPath = "/data"
)

// cache is what is found out about memcached in a pod, whatever the names in
// its manifest.
type cache struct {
	pod     *corev1.Pod
	name    string // of the pod, for failures
	process pmem.Process
	file    pmem.MemoryFile
	fs      pmem.Filesystem
	mount   pmem.Mount // that the memory file lies on
}

// pod is the only Ready pod of a deployment.
func pod(ctx context.Context, e *framework.Env, d *deploy.Deployment) *corev1.Pod {
	p, err := d.Pod(ctx)
	e.NoError(err, "find the pod of %s %s/%s", d.Kind, d.Namespace, d.Name)
	return p
}

// process finds memcached in a pod.
func process(ctx context.Context, e *framework.Env, p *corev1.Pod) pmem.Process {
	proc, err := pmem.FindProcess(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, "memcached")
	e.NoError(err, "find memcached's process in %s", framework.Name("pod", p))
	return proc
}

// memoryFile is the path that memcached was started with. The spec ends with
// req not met when there is none.
func memoryFile(e *framework.Env, req spec.ReqID, p *corev1.Pod, proc pmem.Process) string {
	path, _ := proc.MemoryFile()
	e.Require(req, "memcached runs with a memory file (--memory-file in its arguments "+strings.Join(proc.Args, " ")+")",
		framework.Name("pod", p), path, gomega.Not(gomega.BeEmpty()))
	return path
}

// inspect finds out everything about the cache in a pod.
func inspect(ctx context.Context, e *framework.Env, req spec.ReqID, p *corev1.Pod) cache {
	c := cache{pod: p, name: framework.Name("pod", p), process: process(ctx, e, p)}
	path := memoryFile(e, req, p, c.process)
	at, err := pmem.PlacementOf(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, path)
	e.NoError(err, "look at the memory file %s", path)
	c.file, c.fs, c.mount = at.File, at.Filesystem, at.Mount
	e.Fact("volume, "+string(e.Spec.Profile), "filesystem", c.mount.FSType+" "+strings.Join(c.mount.Options, ","),
		fmt.Sprintf("/proc/self/mountinfo of %s: %s at %s", deploy.Container, c.mount.Device, c.mount.Path))
	e.Fact("volume, "+string(e.Spec.Profile), "memory file", fmt.Sprintf("%d MiB of %d MiB", c.file.Size/mib, c.fs.Size/mib), "stat and stat -f of "+path)
	return c
}

// device is a part of a node's persistent memory.
type device struct {
	name string
	size int64 // bytes of it that it takes
}

// backing finds the logical volume, or the namespace when the driver runs
// without LVM, that is mounted.
func backing(ctx context.Context, nd *pmem.NodeDriver, m pmem.Mount) (device, bool, error) {
	return findDevice(ctx, nd, func(v pmem.LogicalVolume) bool { return v.Backs(m) },
		func(n pmem.Namespace) bool { return n.BlockDev != "" && m.Device == "/dev/"+n.BlockDev })
}

// deviceOf finds what the driver has made for a persistent volume. It names
// either after the volume's handle.
func deviceOf(ctx context.Context, nd *pmem.NodeDriver, handle string) (device, bool, error) {
	return findDevice(ctx, nd, func(v pmem.LogicalVolume) bool { return v.Name == handle },
		func(n pmem.Namespace) bool { return n.Name == handle })
}

func findDevice(ctx context.Context, nd *pmem.NodeDriver, volume func(pmem.LogicalVolume) bool, namespace func(pmem.Namespace) bool) (device, bool, error) {
	volumes, err := nd.LogicalVolumes(ctx)
	if err != nil {
		return device{}, false, err
	}
	if i := slices.IndexFunc(volumes, volume); i >= 0 {
		return device{volumes[i].Path, volumes[i].Size}, true, nil
	}
	namespaces, err := nd.Namespaces(ctx)
	if err != nil {
		return device{}, false, err
	}
	i := slices.IndexFunc(namespaces, namespace)
	if i < 0 {
		return device{}, false, nil
	}
	size, err := nd.Taken(ctx, namespaces[i])
	return device{"/dev/" + namespaces[i].BlockDev, size}, true, err
}

// expectPMEM examines that the memory file lies on persistent memory that the
// driver made for it, seen from the container and from the node. It returns
// the node's driver and the device, if there is one.
func expectPMEM(ctx context.Context, e *framework.Env, req spec.ReqID, c cache, requested int64) (*pmem.NodeDriver, device) {
	e.Expect(req, "the memory file lies on ext4 or xfs", c.name, c.mount.FSType, gomega.BeElementOf("ext4", "xfs"))
	e.Expect(req, "the filesystem of the memory file is mounted with dax", c.name, daxOption(c.mount), gomega.BeElementOf("dax", "dax=always"))

	nd, err := pmem.FindNodeDriver(ctx, e.Cluster, c.pod.Spec.NodeName)
	e.NoError(err, "find the driver on node %s", c.pod.Spec.NodeName)
	dev, found, err := backing(ctx, nd, c.mount)
	e.NoError(err, "look at the persistent memory of node %s", nd.Node)
	e.Expect(req, "the mounted device is a volume that the driver has made on node "+nd.Node, c.name, backed(c.mount, found), gomega.Equal(c.mount.Device))
	if found {
		e.Expect(req, "the volume on the node is at least as large as requested (bytes)", dev.name+" on node "+nd.Node,
			dev.size, gomega.BeNumerically(">=", requested))
	}
	return nd, dev
}

func daxOption(m pmem.Mount) string {
	for _, o := range m.Options {
		if o == "dax" || strings.HasPrefix(o, "dax=") {
			return o
		}
	}
	return fmt.Sprintf("no dax for %s %s at %s with %s", m.FSType, m.Device, m.Path, strings.Join(m.Options, ","))
}

func backed(m pmem.Mount, found bool) string {
	if found {
		return m.Device
	}
	return "nothing of the driver behind " + m.Device
}

// awaitFreed examines that a device is no longer on its node. Without a device
// the spec has failed before.
func awaitFreed(ctx context.Context, e *framework.Env, req spec.ReqID, nd *pmem.NodeDriver, dev device, m pmem.Mount) {
	if dev.name == "" {
		return
	}
	err := e.Waiter.Until(ctx, wait.VolumeFreed, dev.name+" to be removed from node "+nd.Node, func(ctx context.Context) (bool, string, error) {
		left, found, err := backing(ctx, nd, m)
		if err != nil || !found {
			return err == nil, "no such volume", err
		}
		return false, fmt.Sprintf("%s with %d bytes is there", left.name, left.size), nil
	})
	e.Expect(req, "the volume is removed from the node", dev.name+" on node "+nd.Node, err, framework.Succeed)
}

func connect(ctx context.Context, e *framework.Env, p *corev1.Pod) *framework.Connection {
	return e.ConnectPod(ctx, p, deploy.Port(p))
}

func stats(ctx context.Context, e *framework.Env, c *framework.Connection, sub string) map[string]string {
	m, err := c.Stats(ctx, sub)
	e.NoError(err, "read memcached's statistics")
	return m
}

// marker is text that occurs nowhere else.
func marker() string { return "marker-" + rand.String(40) }

// contains tells whether text is among the bytes of the memory file.
func contains(ctx context.Context, e *framework.Env, p *corev1.Pod, path, text string) bool {
	found, err := pmem.Contains(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container, path, text)
	e.NoError(err, "search %s", path)
	return found
}
