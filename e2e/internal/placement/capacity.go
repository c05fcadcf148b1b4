package placement

import (
	"slices"

	storagev1 "k8s.io/api/storage/v1"

	"pmem-memcached-e2e/framework/pmem"
)

// PublishedFor is the capacity in bytes that is published for a class on a node, which the driver names by a label of its
// own; -1 without any.
func PublishedFor(capacities []storagev1.CSIStorageCapacity, class, node string) int64 {
	i := slices.IndexFunc(capacities, func(c storagev1.CSIStorageCapacity) bool {
		if c.StorageClassName != class || c.Capacity == nil || c.NodeTopology == nil {
			return false
		}
		for _, value := range c.NodeTopology.MatchLabels {
			if value == node {
				return true
			}
		}
		return false
	})
	if i < 0 {
		return -1
	}
	return capacities[i].Capacity.Value()
}

// FreeIn is what is free in the volume groups of the driver on a node, in bytes.
func FreeIn(groups []pmem.VolumeGroup) int64 {
	var free int64
	for _, g := range groups {
		if pmem.OfDriver(g.Name) {
			free += g.Free
		}
	}
	return free
}
