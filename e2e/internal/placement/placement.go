// Package placement examines where the memory of a cache lies on its node.
package placement

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// Device is a part of a node's persistent memory.
type Device struct {
	Name string
	Size int64 // bytes of it that it takes
}

// Backing finds the logical volume, or the namespace when the driver runs
// without LVM, that is mounted.
func Backing(ctx context.Context, nd *pmem.NodeDriver, m pmem.Mount) (Device, bool, error) {
	return findDevice(ctx, nd, func(v pmem.LogicalVolume) bool { return v.Backs(m) },
		func(n pmem.Namespace) bool { return n.BlockDev != "" && m.Device == "/dev/"+n.BlockDev })
}

// DeviceOf finds what the driver has made for a persistent volume. It names
// either after the volume's handle.
func DeviceOf(ctx context.Context, nd *pmem.NodeDriver, handle string) (Device, bool, error) {
	return findDevice(ctx, nd, func(v pmem.LogicalVolume) bool { return v.Name == handle },
		func(n pmem.Namespace) bool { return n.Name == handle })
}

func findDevice(ctx context.Context, nd *pmem.NodeDriver, volume func(pmem.LogicalVolume) bool, namespace func(pmem.Namespace) bool) (Device, bool, error) {
	volumes, err := nd.LogicalVolumes(ctx)
	if err != nil {
		return Device{}, false, err
	}
	if i := slices.IndexFunc(volumes, volume); i >= 0 {
		return Device{volumes[i].Path, volumes[i].Size}, true, nil
	}
	namespaces, err := nd.Namespaces(ctx)
	if err != nil {
		return Device{}, false, err
	}
	i := slices.IndexFunc(namespaces, namespace)
	if i < 0 {
		return Device{}, false, nil
	}
	size, err := nd.Taken(ctx, namespaces[i])
	return Device{"/dev/" + namespaces[i].BlockDev, size}, true, err
}

// ExpectPMEM examines that the memory file lies on persistent memory that the
// driver made for it, seen from the container and from the node. It returns
// the node's driver and the device, if there is one.
func ExpectPMEM(ctx context.Context, e *framework.Env, req spec.ReqID, c cache.Cache, requested int64) (*pmem.NodeDriver, Device) {
	e.Expect(req, "the memory file lies on ext4 or xfs", c.Name, c.Mount.FSType, gomega.BeElementOf("ext4", "xfs"))
	e.Expect(req, "the filesystem of the memory file is mounted with dax", c.Name, DAXOption(c.Mount), gomega.BeElementOf("dax", "dax=always"))

	nd, err := pmem.FindNodeDriver(ctx, e.Cluster, c.Pod.Spec.NodeName)
	e.NoError(err, "find the driver on node %s", c.Pod.Spec.NodeName)
	dev, found, err := Backing(ctx, nd, c.Mount)
	e.NoError(err, "look at the persistent memory of node %s", nd.Node)
	e.Expect(req, "the mounted device is a volume that the driver has made on node "+nd.Node, c.Name, Backed(c.Mount, found), gomega.Equal(c.Mount.Device))
	if found {
		e.Expect(req, "the volume on the node is at least as large as requested (bytes)", dev.Name+" on node "+nd.Node,
			dev.Size, gomega.BeNumerically(">=", requested))
	}
	return nd, dev
}

func DAXOption(m pmem.Mount) string {
	for _, o := range m.Options {
		if o == "dax" || strings.HasPrefix(o, "dax=") {
			return o
		}
	}
	return fmt.Sprintf("no dax for %s %s at %s with %s", m.FSType, m.Device, m.Path, strings.Join(m.Options, ","))
}

func Backed(m pmem.Mount, found bool) string {
	if found {
		return m.Device
	}
	return "nothing of the driver behind " + m.Device
}

// AwaitFreed examines that a device is no longer on its node. Without a device
// the spec has failed before.
func AwaitFreed(ctx context.Context, e *framework.Env, req spec.ReqID, nd *pmem.NodeDriver, dev Device, m pmem.Mount) {
	if dev.Name == "" {
		return
	}
	err := e.Waiter.Until(ctx, wait.VolumeFreed, dev.Name+" to be removed from node "+nd.Node, func(ctx context.Context) (bool, string, error) {
		left, found, err := Backing(ctx, nd, m)
		if err != nil || !found {
			return err == nil, "no such volume", err
		}
		return false, fmt.Sprintf("%s with %d bytes is there", left.Name, left.Size), nil
	})
	e.Expect(req, "the volume is removed from the node", dev.Name+" on node "+nd.Node, err, framework.Succeed)
}
