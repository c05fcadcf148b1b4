package e2e

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/idle"
	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "DRV-11", Title: "a new volume shows nothing of the one that had its memory before",
	Covers: []spec.ReqID{"DRV-11"}, Level: spec.Must, Profile: spec.Driver,
	Tags: []string{"driver"}, Budget: 8 * time.Minute,
	Alone: true, // another volume could take the memory that was given up
}, func(ctx context.Context, e *framework.Env) {
	driver := storage.DriverName(ctx, e)
	kept := storage.MakeClass(ctx, e, driver, "kept", storagev1.VolumeBindingWaitForFirstConsumer, map[string]string{"eraseafter": "false"})
	erased := storage.MakeClass(ctx, e, driver, "erased", storagev1.VolumeBindingWaitForFirstConsumer, nil)
	first, second := cache.Marker(), cache.Marker()

	e.Step("write to a volume that is not erased afterwards")
	_, node := useDevice(ctx, e, "", kept.Name, first, nil)
	e.Step("look for it on the next volume, which shows that both have the same memory")
	found, _ := useDevice(ctx, e, node, erased.Name, second, []string{first})
	if found[first] != cache.Found {
		e.NoError(errors.New("what a volume that is not erased has held is not on the next one"), "have two volumes with the same memory")
	}
	e.Step("look for what was on a volume that is erased")
	found, _ = useDevice(ctx, e, node, kept.Name, cache.Marker(), []string{first, second})
	object := "a raw volume of class " + kept.Name
	e.Expect("DRV-11", "a volume shows nothing of the one that had its memory before", object, found[second], gomega.Equal(cache.NotFound))
	e.Expect("DRV-11", "a volume shows nothing of earlier volumes with its memory", object, found[first], gomega.Equal(cache.NotFound))
})

// deviceSize is that of raw volumes, and deviceOffset where text is written, in
// bytes. The driver overwrites the beginning of every new volume.
const (
	deviceSize   = "8Mi"
	deviceOffset = 4 * cache.MiB
)

// useDevice makes a raw volume on a node, or on any, looks for texts on it,
// writes one, and removes it again. It returns what it has found, and where.
func useDevice(ctx context.Context, e *framework.Env, node, class, write string, look []string) (found map[string]string, on string) {
	claim := storage.MakeClaim(ctx, e, class, deviceSize, corev1.PersistentVolumeBlock)
	p := idle.Pod(ctx, e, e.Manifest(spec.Ephemeral), "device-")
	no, root := false, int64(0)
	p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &root, RunAsNonRoot: &no}
	p.Spec.Volumes = []corev1.Volume{idle.ClaimVolume("device", claim)}
	if node != "" {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
				{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}},
			}}},
		}}}
	}
	p.Spec.Containers[0].VolumeDevices = []corev1.VolumeDevice{{Name: "device", DevicePath: "/dev/volume"}}
	p = e.RunPod(ctx, p)
	found = map[string]string{}
	for _, text := range look {
		found[text] = cache.Search(ctx, e, p, "/dev/volume", text)
	}
	idle.Run(ctx, e, p, deploy.Container, "write to "+framework.Name("claim", claim), "sh", "-c",
		`printf %s "$1" | dd of=/dev/volume bs=4096 seek="$2" conv=fsync,notrunc && grep -F -q -e "$1" /dev/volume`, "sh", write, fmt.Sprint(deviceOffset/4096))
	e.RemovePod(ctx, p)
	pv, err := e.Cluster.Client.CoreV1().PersistentVolumes().Get(ctx, storage.CurrentClaim(ctx, e, claim).Spec.VolumeName, metav1.GetOptions{})
	e.NoError(err, "get the volume of %s", framework.Name("claim", claim))
	e.NoError(storage.RemoveClaim(ctx, e, claim), "remove %s", framework.Name("claim", claim))
	e.NoError(storage.AwaitVolumeGone(ctx, e, pv), "await the removal of %s", framework.Name("volume", pv))
	return found, p.Spec.NodeName
}
