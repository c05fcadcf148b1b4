package e2e

import (
	"context"
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
	object := "capacity of class " + late.Name
	nodes, err := e.Cluster.Client.StorageV1().CSINodes().List(ctx, metav1.ListOptions{})
	e.NoError(err, "list the CSINode objects")
	var free int64
	err = awaitCapacity(ctx, e, late.Name, "one for each node with the driver", func(sizes []int64) bool {
		free = total(sizes)
		return len(sizes) == storage.NodesWith(nodes.Items, driver) && free > 0
	})
	e.Require("DRV-12", "the free persistent memory of each node is published", object, err, framework.Succeed)

	expectFreeInGroups(ctx, e, driver, late.Name, object)

	e.Step("make a claim that fits on no node")
	huge := storage.MakeClaim(ctx, e, late.Name, fmt.Sprintf("%d", free+1<<30), corev1.PersistentVolumeFilesystem)
	waiting := e.StartPod(ctx, idle.Pod(ctx, e, e.Manifest(spec.Ephemeral), "waiting-", idle.ClaimVolume("volume", huge)))
	_, err = events.AwaitWarning(ctx, e, "pod", waiting, "FailedScheduling", "free storage")
	e.Expect("DRV-12", "the pod of a claim that fits on no node is not scheduled, and reports why", framework.Name("pod", waiting), err, framework.Succeed)
	e.Expect("DRV-12", "a claim that fits on no node stays Pending", framework.Name("claim", huge), storage.CurrentClaim(ctx, e, huge).Status.Phase, gomega.Equal(corev1.ClaimPending))

	const size = 256 * cache.MiB
	e.Step("follow the capacity")
	claim, err := storage.AwaitBound(ctx, e, storage.MakeClaim(ctx, e, soon.Name, fmt.Sprint(size), corev1.PersistentVolumeFilesystem))
	e.NoError(err, "bind a claim")
	err = awaitCapacity(ctx, e, late.Name, "less by a volume of 256 MiB", func(sizes []int64) bool { return total(sizes) <= free-size })
	e.Expect("DRV-12", "the published capacity shrinks by the size of a volume", object, err, framework.Succeed)
	e.NoError(storage.RemoveClaim(ctx, e, claim), "remove a claim")
	err = awaitCapacity(ctx, e, late.Name, "as before", func(sizes []int64) bool { return total(sizes) >= free })
	e.Expect("DRV-12", "the published capacity grows when the volume is gone", object, err, framework.Succeed)
})

// expectFreeInGroups compares what is published for each node with what is free in the volume groups of the driver there.
// Without LVM the free space of a region is in steps and fragments that the driver alone knows.
func expectFreeInGroups(ctx context.Context, e *framework.Env, driver, class, object string) {
	drivers, _, err := pmem.FindNodeDrivers(ctx, e.Cluster)
	e.NoError(err, "find the nodes with the driver")
	drivers = slices.DeleteFunc(drivers, func(nd *pmem.NodeDriver) bool { return nd.Name != driver || nd.Mode == pmem.Direct })
	if len(drivers) == 0 {
		e.Note("volume groups", "the driver runs without LVM, so the published capacity is compared with its own changes alone")
		return
	}
	// Other volumes come and go, and the driver publishes with a delay.
	err = e.Waiter.Until(ctx, wait.CapacityPublished, "the capacity of class "+class+" to be what is free in the volume groups", func(ctx context.Context) (bool, string, error) {
		list, err := e.Cluster.Client.StorageV1().CSIStorageCapacities(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, "", err
		}
		var seen []string
		same := true
		for _, nd := range drivers {
			groups, err := nd.VolumeGroups(ctx)
			if err != nil {
				return false, "", err
			}
			published, free := placement.PublishedFor(list.Items, class, nd.Node), placement.FreeIn(groups)
			same = same && published == free
			seen = append(seen, fmt.Sprintf("%d bytes for node %s with %d free", published, nd.Node, free))
		}
		return same, strings.Join(seen, ", "), nil
	})
	e.Expect("DRV-12", "the published capacity is what is free in the volume groups of each node", object, err, framework.Succeed)
}

// awaitCapacity waits until the capacity that is published for a class, bytes
// for each of its objects, is as wanted.
func awaitCapacity(ctx context.Context, e *framework.Env, class, what string, reached func([]int64) bool) error {
	return e.Waiter.Until(ctx, wait.CapacityPublished, "the capacity of class "+class+" to be "+what, func(ctx context.Context) (bool, string, error) {
		list, err := e.Cluster.Client.StorageV1().CSIStorageCapacities(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, "", err
		}
		var sizes []int64
		for _, c := range list.Items {
			if c.StorageClassName == class && c.Capacity != nil {
				sizes = append(sizes, c.Capacity.Value())
			}
		}
		return reached(sizes), fmt.Sprintf("bytes %v", sizes), nil
	})
}

func total(sizes []int64) int64 {
	var sum int64
	for _, s := range sizes {
		sum += s
	}
	return sum
}
