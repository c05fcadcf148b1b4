package placement

import (
	"fmt"
	"maps"
	"slices"
	"strings"

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

// A Moment is what is published for a class, and what there is on the nodes, at one time.
type Moment struct {
	Published map[string]int64 // by node, in bytes; -1 without any
	Free      map[string]int64 // in the volume groups of the driver, by node; empty without LVM
	Volumes   []string         // of the driver, each after its node
}

// A Comparison compares several moments of a cluster on which others make and remove volumes, too. The driver publishes with a
// delay, so that what is published may be what was free at an earlier one.
type Comparison struct {
	others map[string]bool // volumes that are not the spec's own, at the first moment
	free   map[string][]int64
	came   map[string]bool
	went   map[string]bool
}

// Compare adds a moment. own are the volumes of the spec. It reports whether what is published for each node is what was free
// there at this moment or at one before, and what differs.
func (c *Comparison) Compare(m Moment, own ...string) (same bool, seen string) {
	now := map[string]bool{}
	for _, v := range m.Volumes {
		if !slices.ContainsFunc(own, func(o string) bool { return strings.HasSuffix(v, "/"+o) }) {
			now[v] = true
		}
	}
	if c.others == nil {
		c.others, c.free, c.came, c.went = now, map[string][]int64{}, map[string]bool{}, map[string]bool{}
	}
	for v := range now {
		if !c.others[v] {
			c.came[v] = true
		}
	}
	for v := range c.others {
		if !now[v] {
			c.went[v] = true
		}
	}
	maps.Copy(c.others, now)
	same = true
	var parts []string
	for _, node := range slices.Sorted(maps.Keys(m.Free)) {
		if !slices.Contains(c.free[node], m.Free[node]) {
			c.free[node] = append(c.free[node], m.Free[node])
		}
		same = same && slices.Contains(c.free[node], m.Published[node])
		parts = append(parts, fmt.Sprintf("%d bytes for node %s with %d free", m.Published[node], node, m.Free[node]))
	}
	return same, strings.Join(parts, ", ")
}

// Others are the volumes of others that came and went from one moment to another. A comparison that fails meanwhile says nothing.
func (c *Comparison) Others() error {
	if len(c.came)+len(c.went) == 0 {
		return nil
	}
	list := func(set map[string]bool) string {
		return fmt.Sprintf("%d (%s)", len(set), firstOf(slices.Sorted(maps.Keys(set)), 3))
	}
	return fmt.Errorf("others make and remove volumes meanwhile: %s came, %s went", list(c.came), list(c.went))
}

func firstOf(names []string, n int) string {
	if len(names) > n {
		names = append(names[:n:n], "…")
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
