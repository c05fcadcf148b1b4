// Package placement examines where the memory of a cache is on its node.
package placement

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/probe"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// Device is what the driver made for a volume on a node.
type Device struct {
	Name string
	Size int64 // bytes of persistent memory that it takes
}

// Backing finds what is mounted: a logical volume, or a namespace if the driver
// runs without LVM.
func Backing(ctx context.Context, nd *pmem.NodeDriver, m probe.Mount) (Device, bool, error) {
	return findDevice(ctx, nd, func(v pmem.LogicalVolume) bool { return v.Backs(m) },
		func(n pmem.Namespace) bool { return n.BlockDev != "" && m.Device == "/dev/"+n.BlockDev })
}

// DeviceOf finds what the driver made for a persistent volume, by the volume's
// handle.
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

// ExpectPMEM expects the memory file to be on persistent memory of the driver,
// as seen from the container and from the node. It returns the node's driver and
// the device, which has no name if there is none.
func ExpectPMEM(ctx context.Context, e *framework.Env, req spec.ReqID, c cache.Cache, requested int64) (*pmem.NodeDriver, Device) {
	e.Expect(req, "the memory file is on ext4 or xfs", c.Name, c.Mount.FSType, gomega.BeElementOf("ext4", "xfs"))
	e.Expect(req, "the filesystem of the memory file is mounted with dax", c.Name, DAXOption(c.Mount), HaveDAX())

	nd, err := pmem.FindNodeDriver(ctx, e.Cluster, c.Pod.Spec.NodeName)
	e.NoError(err, "find the driver on node %s", c.Pod.Spec.NodeName)
	dev, found, err := Backing(ctx, nd, c.Mount)
	e.NoError(err, "look at the persistent memory of node %s", nd.Node)
	e.Expect(req, "the mounted device is a volume that the driver made on the pod's node", c.Name+" on node "+nd.Node, Backed(c.Mount, found), gomega.Equal(c.Mount.Device))
	if found {
		e.Expect(req, "the volume on the node is at least as large as requested (bytes)", dev.Name+" on node "+nd.Node,
			dev.Size, gomega.BeNumerically(">=", requested))
	}
	return nd, dev
}

// DAXOption is the mount option about dax, or a sentence about its absence.
func DAXOption(m probe.Mount) string {
	for _, o := range m.Options {
		if o == "dax" || strings.HasPrefix(o, "dax=") {
			return o
		}
	}
	return fmt.Sprintf("no dax option for %s %s at %s with %s", m.FSType, m.Device, m.Path, strings.Join(m.Options, ","))
}

// HaveDAX matches the [DAXOption] of a mount with dax.
func HaveDAX() types.GomegaMatcher { return gomega.BeElementOf("dax", "dax=always") }

// Backed is the device of a mount, or a sentence if the driver did not make it.
func Backed(m probe.Mount, found bool) string {
	if found {
		return m.Device
	}
	return "no volume of the driver, but " + m.Device
}

// AwaitFreed waits until a device is removed from its node. Without a device the
// spec has failed before.
func AwaitFreed(ctx context.Context, e *framework.Env, req spec.ReqID, nd *pmem.NodeDriver, dev Device, m probe.Mount) {
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
