package e2e

import (
	"context"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/events"
	"pmem-memcached-e2e/e2e/internal/idle"
	"pmem-memcached-e2e/e2e/internal/placement"
	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/probe"
	"pmem-memcached-e2e/framework/spec"
)

// filesystems are claims with the filesystem and option of their mount. The first two have one class and size.
var filesystems = []struct {
	name, size string
	parameters map[string]string
	fsType     string
	dax        bool
}{
	{"by-default", "16Mi", nil, "ext4", true},
	{"twin", "16Mi", nil, "ext4", true},
	{"xfs", storage.SizeForXFS, map[string]string{"csi.storage.k8s.io/fstype": "xfs", "usage": "AppDirect", "eraseafter": "false"}, "xfs", true},
	{"file-io", storage.SizeForFileIO, map[string]string{"csi.storage.k8s.io/fstype": "ext4", "usage": "FileIO"}, "ext4", false},
}

var _ = framework.It(spec.Spec{
	ID: "DRV-06", Title: "volumes have a device of their own, with the filesystem and the dax option that their class requests, and memcached works without dax, too",
	Covers: []spec.ReqID{"DRV-05", "DRV-06", "DRV-07", "DRV-20"},
	Level:  spec.Must, Profile: spec.Driver, Needs: []spec.Feature{spec.InlineVolume},
	Tags: []string{"driver"}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	driver := storage.DriverName(ctx, e)
	without := workload.Apply(ctx, e, spec.Ephemeral, deploy.Changes{Namespace: e.Namespace, Inline: deploy.InlineChange{Attributes: map[string]string{"usage": "FileIO"}}})
	var volumes []corev1.Volume
	var claims []corev1.PersistentVolumeClaim // theirs
	var class *storagev1.StorageClass
	for _, f := range filesystems {
		if f.name != "twin" { // which has the class of the first
			// All volumes have to come to the node of the one pod.
			class = storage.MakeClass(ctx, e, driver, f.name, storagev1.VolumeBindingWaitForFirstConsumer, f.parameters)
		}
		claim := storage.MakeClaim(ctx, e, class.Name, f.size, corev1.PersistentVolumeFilesystem)
		volumes, claims = append(volumes, idle.ClaimVolume(f.name, claim)), append(claims, *claim)
	}
	// By a claim, because the driver leaves an inline volume behind that it refuses
	// in this way (seen with release 1.1.0).
	btrfs := storage.MakeClass(ctx, e, driver, "btrfs", storagev1.VolumeBindingImmediate, map[string]string{"csi.storage.k8s.io/fstype": "btrfs"})
	claim := storage.MakeClaim(ctx, e, btrfs.Name, "16Mi", corev1.PersistentVolumeFilesystem)
	refused := e.StartPod(ctx, idle.Pod(ctx, e, without.Manifest, "btrfs-", idle.ClaimVolume("btrfs", claim)))
	user := e.StartPod(ctx, idle.Pod(ctx, e, without.Manifest, "mounts-", volumes...))
	for i := range claims {
		bound, err := storage.AwaitBound(ctx, e, &claims[i])
		e.NoError(err, "have a volume made for %s", framework.Name("claim", &claims[i]))
		claims[i] = *bound
	}
	// The kubelet mounts a volume once only, and waits for ever when it is to be there twice in a pod.
	e.Require("DRV-20", "each claim has a volume of its own", framework.Name("pod", user), storage.Shared(ctx, e, claims), gomega.BeEmpty())
	user = e.AwaitPodRuns(ctx, user)
	devices := map[string][]string{} // names of volumes by device
	for _, f := range filesystems {
		at, err := probe.PlacementOf(ctx, e.Cluster, user.Namespace, user.Name, deploy.Container, "/"+f.name)
		e.NoError(err, "find the mount of %s", f.name)
		mount := at.Mount
		object := framework.Name("pod", user) + " with a volume " + f.name
		e.Expect("DRV-06", "the filesystem is that of the class, ext4 if it names none", object, mount.FSType, gomega.Equal(f.fsType))
		check, want := "a volume that is not for file I/O is mounted with dax", placement.HaveDAX()
		if !f.dax {
			check, want = "a volume for file I/O is mounted without dax", gomega.Not(want)
		}
		e.Expect("DRV-07", check, object, placement.DAXOption(mount), want)
		size := resource.MustParse(f.size)
		e.Expect("DRV-05", "the filesystem offers less than the volume has, which is sized for more (bytes)", object, at.Filesystem.Available, gomega.BeNumerically("<", size.Value()))
		devices[mount.Number] = append(devices[mount.Number], f.name)
	}
	neighbour := idle.Pod(ctx, e, without.Manifest, "neighbour-", idle.InlineVolume(driver, "", map[string]string{"size": "16Mi"}))
	neighbour.Spec.Affinity = idle.OnNode(user.Spec.NodeName)
	neighbour = e.RunPod(ctx, neighbour)
	mount, err := probe.MountOf(ctx, e.Cluster, neighbour.Namespace, neighbour.Name, deploy.Container, "/volume")
	e.NoError(err, "find the mount of an inline volume in another pod")
	devices[mount.Number] = append(devices[mount.Number], "inline, of another pod")
	e.Expect("DRV-20", "two pods on one node have a device for each of their volumes (volumes by device)", framework.Name("pod", user)+" and "+framework.Name("pod", neighbour),
		devices, gomega.HaveEach(gomega.HaveLen(1)))

	_, err = events.AwaitWarning(ctx, e, "pod", refused, "FailedMount", "btrfs")
	e.Expect("DRV-06", "a filesystem that the driver does not support is refused by an event", framework.Name("pod", refused), err, framework.Succeed)

	e.Require("DRV-07", "memcached becomes ready on a volume for file I/O", without.Dir, without.Ready(ctx), framework.Succeed)
	p := workload.Pod(ctx, e, without)
	c := cache.Inspect(ctx, e, "DRV-07", p)
	e.Expect("DRV-07", "an inline volume for file I/O is mounted without dax", c.Name, placement.DAXOption(c.Mount), gomega.Not(placement.HaveDAX()))
	cache.ExpectStores(ctx, e, "DRV-07", p)
})
