package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/events"
	"pmem-memcached-e2e/e2e/internal/idle"
	"pmem-memcached-e2e/e2e/internal/placement"
	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

var _ = framework.It(spec.Spec{
	ID: "DRV-12", Title: "the published capacity follows the volumes, and a claim that fits on no node waits",
	Covers: []spec.ReqID{"DRV-12"}, Level: spec.Must, Profile: spec.Driver, Needs: []spec.Feature{spec.NodeAccess},
	Tags: []string{"driver"}, Budget: 10 * time.Minute, Alone: true,
}, func(ctx context.Context, e *framework.Env) {
	driver := storage.DriverName(ctx, e)
	late := storage.MakeClass(ctx, e, driver, "late", storagev1.VolumeBindingWaitForFirstConsumer, nil)
	soon := storage.MakeClass(ctx, e, driver, "soon", storagev1.VolumeBindingImmediate, map[string]string{"eraseafter": "false"})
	w := watchCapacity(ctx, e, driver, late.Name)
	nodes, err := e.Cluster.CSINodes(ctx)
	e.NoError(err, "list the CSINode objects")
	var free int64
	err = w.await(ctx, "one for each node with the driver", "", false, func(sizes []int64) bool {
		free = total(sizes)
		return len(sizes) == storage.NodesWith(nodes, driver)
	})
	e.Require("DRV-12", "the free persistent memory of each node is published", w.object, err, framework.Succeed)

	e.Step("make a claim that fits on no node")
	huge := storage.MakeClaim(ctx, e, late.Name, fmt.Sprintf("%d", free+1<<30), corev1.PersistentVolumeFilesystem)
	waiting := e.StartPod(ctx, idle.Pod(ctx, e, e.Manifest(spec.Ephemeral), "waiting-", idle.ClaimVolume("volume", huge)))
	_, err = events.AwaitWarning(ctx, e, "pod", waiting, "FailedScheduling", "free storage")
	phase := storage.CurrentClaim(ctx, e, huge).Status.Phase
	if err != nil || phase != corev1.ClaimPending {
		w.undisturbed(ctx) // others may have freed as much
	}
	e.Expect("DRV-12", "the pod of a claim that fits on no node is not scheduled, and reports why", framework.Name("pod", waiting), err, framework.Succeed)
	e.Expect("DRV-12", "a claim that fits on no node stays Pending", framework.Name("claim", huge), phase, gomega.Equal(corev1.ClaimPending))

	const size = 256 * cache.MiB
	e.Step("follow the capacity")
	claim, err := storage.AwaitBound(ctx, e, storage.MakeClaim(ctx, e, soon.Name, fmt.Sprint(size), corev1.PersistentVolumeFilesystem))
	e.NoError(err, "bind a claim")
	pv, err := e.Cluster.Client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	e.NoError(err, "read the volume of %s", framework.Name("claim", claim))
	own := pv.Spec.CSI.VolumeHandle
	err = w.await(ctx, "less by a volume of 256 MiB", own, true, func(sizes []int64) bool { return total(sizes) <= free-size })
	e.Expect("DRV-12", "the published capacity follows a volume that is made", w.object, err, framework.Succeed)
	e.NoError(storage.RemoveClaim(ctx, e, claim), "remove a claim")
	err = w.await(ctx, "as before", own, false, func(sizes []int64) bool { return total(sizes) >= free })
	e.Expect("DRV-12", "the published capacity follows a volume that is removed", w.object, err, framework.Succeed)
})

// capacityWatch compares the capacity that is published for a class with what the nodes have.
type capacityWatch struct {
	e             *framework.Env
	drivers       []*pmem.NodeDriver
	lvm           bool
	class, object string
	all           placement.Comparison // since the beginning
}

func watchCapacity(ctx context.Context, e *framework.Env, driver, class string) *capacityWatch {
	drivers, _, err := pmem.FindNodeDrivers(ctx, e.Cluster)
	e.NoError(err, "find the nodes with the driver")
	drivers = slices.DeleteFunc(drivers, func(nd *pmem.NodeDriver) bool { return nd.Name != driver })
	w := &capacityWatch{e: e, drivers: drivers, class: class, object: "capacity of class " + class}
	w.lvm = len(drivers) > 0 && !slices.ContainsFunc(drivers, func(nd *pmem.NodeDriver) bool { return nd.Mode == pmem.Direct })
	if !w.lvm {
		// The free space of a region is in steps and fragments that the driver alone knows.
		e.Note("volume groups", "the driver runs without LVM, so the published capacity is compared with its own changes alone")
	}
	return w
}

// await waits until the capacity is as wanted: with LVM what is free in the volume groups, once they have the spec's own volume or no
// longer have it, and without as in reached. When it is not, and others make and remove volumes meanwhile, nothing is shown.
func (w *capacityWatch) await(ctx context.Context, what, own string, there bool, reached func(sizes []int64) bool) error {
	var now placement.Comparison
	err := w.e.Waiter.Until(ctx, wait.CapacityPublished, "the capacity of class "+w.class+" to be "+what, func(ctx context.Context) (bool, string, error) {
		m, sizes, err := w.moment(ctx)
		if err != nil {
			return false, "", err
		}
		w.all.Compare(m, own)
		if own != "" && there != slices.ContainsFunc(m.Volumes, func(v string) bool { return strings.HasSuffix(v, "/"+own) }) {
			return false, fmt.Sprintf("volume %s: there %t", own, !there), nil
		}
		same, seen := now.Compare(m, own)
		if own == "" || !w.lvm {
			same = same && reached(sizes)
		}
		return same, fmt.Sprintf("bytes %v; %s", sizes, seen), nil
	})
	if _, late := errors.AsType[*wait.TimeoutError](err); late {
		w.e.NoError(w.others(now), "compare the %s with the volumes of the driver: %v", w.object, err)
	}
	return err
}

// others are what disturbs a comparison: without LVM all volumes since the beginning.
func (w *capacityWatch) others(now placement.Comparison) error {
	if w.lvm {
		return now.Others()
	}
	return w.all.Others()
}

// undisturbed ends the spec when others have made or removed volumes since its beginning.
func (w *capacityWatch) undisturbed(ctx context.Context) {
	m, _, err := w.moment(ctx)
	w.e.NoError(err, "read the capacity of class %s", w.class)
	w.all.Compare(m)
	w.e.NoError(w.all.Others(), "see that a claim fits on no node")
}

// moment reads the published capacity, bytes for each of its objects, and then the nodes.
func (w *capacityWatch) moment(ctx context.Context) (placement.Moment, []int64, error) {
	m := placement.Moment{Published: map[string]int64{}, Free: map[string]int64{}}
	all, err := w.e.Cluster.Capacities(ctx)
	if err != nil {
		return m, nil, err
	}
	var sizes []int64
	for _, c := range all {
		if c.StorageClassName == w.class && c.Capacity != nil {
			sizes = append(sizes, c.Capacity.Value())
		}
	}
	for _, nd := range w.drivers {
		inventory, err := nd.Inventory(ctx)
		if err != nil {
			return m, nil, err
		}
		for part, unread := range inventory.Unread {
			if part == pmem.PartVolumes || part == pmem.PartGroups || part == pmem.PartNamespaces {
				return m, nil, fmt.Errorf("node %s: %s: %w", nd.Node, part, unread)
			}
		}
		m.Published[nd.Node] = placement.PublishedFor(all, w.class, nd.Node)
		if w.lvm {
			m.Free[nd.Node] = placement.FreeIn(inventory.Groups)
		}
		for _, v := range inventory.Volumes {
			m.Volumes = append(m.Volumes, nd.Node+"/"+v.Name)
		}
		if !w.lvm {
			for _, n := range inventory.Namespaces {
				m.Volumes = append(m.Volumes, nd.Node+"/"+n.Name)
			}
		}
	}
	return m, sizes, nil
}

func total(sizes []int64) int64 {
	var sum int64
	for _, s := range sizes {
		sum += s
	}
	return sum
}
