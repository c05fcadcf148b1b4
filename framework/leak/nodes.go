package leak

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/pmem"
)

type node struct {
	name      string
	inventory pmem.Inventory
}

// readNodes asks the drivers of all nodes, and in an exclusive scope also for the free capacity.
func (t *taker) readNodes(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if t.scope.Exclusive && t.scope.Published {
		wg.Go(func() { t.readPublished(ctx) })
	}
	drivers, unready, err := pmem.FindNodeDrivers(ctx, t.cluster)
	if err != nil {
		t.unreadNode(everywhere, err)
		return
	}
	for name, err := range unready {
		t.unreadNode(name, err)
	}
	free := make(chan struct{}, nodesAtOnce)
	for _, driver := range drivers {
		wg.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			t.readNode(ctx, driver)
			if t.scope.Exclusive {
				t.readMetric(ctx, driver)
			}
		})
	}
}

func (t *taker) unreadNode(name string, err error) {
	t.filed(part{Node, name, ""}, err)
	if t.scope.Exclusive {
		t.filed(part{Capacity, name, ""}, err)
	}
}

func (t *taker) readNode(ctx context.Context, driver *pmem.NodeDriver) {
	limited, cancel := context.WithTimeoutCause(ctx, partLimit, fmt.Errorf("no answer within %s", partLimit))
	defer cancel()
	inventory, err := driver.Inventory(limited)
	if err != nil {
		if limited.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(limited), err)
		}
		t.filed(part{Node, driver.Node, ""}, err)
		if t.scope.Exclusive {
			t.filed(part{Capacity, driver.Node, pmem.PartGroups}, err)
		}
		return
	}
	for _, name := range []string{pmem.PartVolumes, pmem.PartNamespaces, pmem.PartMounts, pmem.PartFiles} {
		t.filed(part{Node, driver.Node, name}, inventory.Unread[name])
	}
	if t.scope.Exclusive {
		t.filed(part{Capacity, driver.Node, pmem.PartGroups}, inventory.Unread[pmem.PartGroups])
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.nodes = append(t.nodes, node{driver.Node, inventory})
}

func (t *taker) readMetric(ctx context.Context, driver *pmem.NodeDriver) {
	p := part{Capacity, driver.Node, "the driver's metric"}
	t.readPart(ctx, p, func(ctx context.Context) error {
		bytes, err := driver.Available(ctx)
		if err == nil {
			t.addCapacity(p, "available by the driver's metric", bytes)
		}
		return err
	})
}

var published = part{Capacity, inCluster, "csistoragecapacities"}

func (t *taker) readPublished(ctx context.Context) {
	t.readPart(ctx, published, func(ctx context.Context) error {
		all, err := t.cluster.Capacities(ctx)
		if err != nil {
			return err
		}
		for _, c := range all {
			if c.Capacity != nil {
				t.addCapacity(published, "published for "+segment(c), c.Capacity.Value())
			}
		}
		return nil
	})
}

// segment names what a capacity is about. The object's own name is random and changes.
func segment(c storagev1.CSIStorageCapacity) string {
	text := "class " + c.StorageClassName
	if c.NodeTopology != nil {
		text += " on " + metav1.FormatLabelSelector(c.NodeTopology)
	}
	return text
}

func (t *taker) addCapacity(p part, what string, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.snapshot.items[key{Capacity, p.where, what}] = item{part: p, bytes: bytes, detail: size(bytes)}
}

// addNodes makes items of what is on the nodes, when all objects are known that it can belong to.
func (t *taker) addNodes(ctx context.Context) {
	owners := newOwners(t.objects)
	for _, n := range t.nodes {
		if err := t.attributable(ctx, owners, n); err != nil {
			t.forget(n.name, fmt.Errorf("it is not known whose volumes they are: %w", err))
			continue
		}
		t.addNode(n, owners)
	}
}

// attributable makes sure that the volumes of others are not taken for the run's.
func (t *taker) attributable(ctx context.Context, owners *owners, n node) error {
	if t.scope.Exclusive {
		return nil
	}
	for _, resource := range []string{"pods", "persistentvolumeclaims", "persistentvolumes"} {
		if !t.snapshot.read.Has(listed(resource)) {
			return fmt.Errorf("%s could not be listed", resource)
		}
	}
	if owners.complete(n.inventory) {
		return nil
	}
	return owners.addInline(ctx, t.cluster.Client, n.name)
}

// forget makes a node one that was not read.
func (t *taker) forget(name string, err error) {
	for p := range t.snapshot.read {
		if p.view == Node && p.where == name {
			t.snapshot.read.Delete(p)
		}
	}
	t.filed(part{Node, name, ""}, err)
}

func (t *taker) addNode(n node, owners *owners) {
	pods := mountedFor(n.inventory.Mounts)
	add := func(name, what, volume string, details ...string) {
		owner, by := owners.of(volume, pods[volume])
		details = append(details, by)
		t.snapshot.items[key{Node, n.name, what}] = item{
			part: part{Node, n.name, name}, owner: owner,
			// The driver removes volumes on its own, once nothing refers to them.
			dying:  by == ofNothing,
			detail: strings.Join(slices.DeleteFunc(details, func(s string) bool { return s == "" }), ", "),
		}
	}
	for _, v := range n.inventory.Volumes {
		add(pmem.PartVolumes, "logical volume "+v.Group+"/"+v.Name, v.Name, size(v.Size))
	}
	for _, ns := range n.inventory.Namespaces {
		what := "namespace " + ns.Dev
		if ns.Name != "" { // in direct mode the driver gives a volume's namespace the volume's name
			what = "namespace " + ns.Name
		}
		add(pmem.PartNamespaces, what, ns.Name, size(ns.Size), ns.Mode)
	}
	times := map[string]int{}
	for _, m := range n.inventory.Mounts {
		what := "mount at " + m.Path
		if times[m.Path]++; times[m.Path] > 1 {
			what += fmt.Sprintf(", number %d on top of each other", times[m.Path])
		}
		add(pmem.PartMounts, what, volumeOf(m), m.FSType+" of "+m.Device)
	}
	for _, file := range n.inventory.Files {
		add(pmem.PartFiles, "state file "+file, stateFileVolume(file))
	}
	if t.scope.Exclusive {
		for _, g := range n.inventory.Groups {
			t.addCapacity(part{Capacity, n.name, pmem.PartGroups}, "free in volume group "+g.Name, g.Free)
		}
	}
}

// stateFileVolume returns the volume that a file of the state directory is about, pkg/pmem-state
// of PMEM-CSI v1.1.0.
func stateFileVolume(file string) string {
	name := file[strings.LastIndex(file, "/")+1:]
	return strings.TrimSuffix(strings.TrimSuffix(name, ".tmp"), ".json")
}
