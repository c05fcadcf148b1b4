package e2e

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/customise"
	"pmem-memcached-e2e/e2e/internal/stock"
	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

var _ = framework.It(spec.Spec{
	ID: "RST-62", Title: "replicas keep their own claims, which are deleted when they should be and not before",
	Covers: []spec.ReqID{"RST-03", "RST-62", "OBJ-06", "OBJ-07", "KUS-08", "DRV-20"},
	Level:  spec.Must, Profile: spec.Persistent, Tags: []string{"restart", "customised"}, Budget: 12 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	other := e.Namespace + "-resized"
	e.MakeNamespace(ctx, other)
	m := e.Manifest(spec.Persistent)
	e.Require("RST-62", "the workload makes a claim for each of its replicas (kind)", m.Dir, m.Kind, gomega.Equal("StatefulSet"))
	was, err := m.Volume()
	e.NoError(err, "find the volume in %s", m.Dir)
	e.Require("RST-62", "the workload makes a claim for each of its replicas (source of the volume)", m.Dir, was.Source, gomega.Equal(deploy.ClaimTemplate))
	late := storage.MakeClass(ctx, e, storage.DriverName(ctx, e), "resized", storagev1.VolumeBindingWaitForFirstConsumer, nil)
	overlay := customise.Render(e, customise.Overlay{Size: resizedTo(was.Size), Class: late.Name}, customise.Current, other)
	m = e.Variant(spec.Persistent, deploy.Changes{Namespace: e.Namespace, OneNode: true, VolumeClass: storage.LateClass(ctx, e, m)})
	both := e.DeployAll(ctx, "KUS-08", m, overlay)
	modes := storage.OfMemoryFile(ctx, e, "KUS-08", both[0], workload.Pod(ctx, e, both[0])).Spec.AccessModes
	e.Parallel(func() { expectResized(ctx, e, both[1], resizedTo(was.Size), late.Name, modes) }, func() { expectReplicas(ctx, e, both[0]) })
})

// expectReplicas examines the claims of replicas that come and go.
func expectReplicas(ctx context.Context, e *framework.Env, d *deploy.Deployment) {
	e.Step("scale to 2")
	err := d.Scale(ctx, 2)
	expectTwoVolumes(ctx, e, d) // memcached waits for the other one that uses its file
	workload.Comes(e, "RST-62", d, err)
	own := [][]string{{"of-0"}, {"of-1"}}
	pods := byName(ctx, e, d)
	expectTwoDevices(e, cache.Inspect(ctx, e, "DRV-20", &pods[0]), cache.Inspect(ctx, e, "DRV-20", &pods[1]))
	claims := expectNames(ctx, e, d, pods)
	for n := range pods {
		stock.StoreIn(ctx, e, &pods[n], stock.Of(own[n][0]))
	}
	workload.ScaleDown(ctx, e, d)()
	workload.Scale(ctx, e, "RST-62", d, 2)
	pods = byName(ctx, e, d)
	for n := range pods {
		name := framework.Name("pod", &pods[n])
		mine, others := stock.Of(own[n][0]), stock.Of(own[1-n][0])
		e.Expect("RST-62", "a replica serves its own items after a restart", name, stock.ServedBy(ctx, e, &pods[n], mine), stock.All())
		e.Expect("RST-62", "a replica serves no item of the other", name, stock.ServedBy(ctx, e, &pods[n], others), stock.None())
	}

	expectProtected(ctx, e, d, &claims[1], &pods[1])
	expectRetention(ctx, e, d, &claims[0], stock.Of(own[0][0]))
}

// expectTwoVolumes compares the volumes of the claims of two replicas.
func expectTwoVolumes(ctx context.Context, e *framework.Env, d *deploy.Deployment) {
	claims, err := d.Claims(ctx)
	e.NoError(err, "list the claims of %s", workload.Name(d))
	e.Expect("DRV-20", "each claim has a volume of its own", workload.Name(d), storage.Shared(ctx, e, claims), gomega.BeEmpty())
}

// byName are the two pods of a StatefulSet, that with the lower number first.
func byName(ctx context.Context, e *framework.Env, d *deploy.Deployment) []corev1.Pod {
	pods, err := d.Pods(ctx)
	e.NoError(err, "list the pods of %s", d.Name)
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(len(a.Name), len(b.Name)), strings.Compare(a.Name, b.Name))
	})
	if len(pods) != 2 {
		e.NoError(fmt.Errorf("there are %d", len(pods)), "find the two pods of %s", d.Name)
	}
	return pods
}

// expectNames expects that pods and claims have the names by which they are
// associated.
func expectNames(ctx context.Context, e *framework.Env, d *deploy.Deployment, pods []corev1.Pod) []corev1.PersistentVolumeClaim {
	v, err := d.Volume()
	e.NoError(err, "find the volume in %s", d.Dir)
	var claims []corev1.PersistentVolumeClaim
	for n := range pods {
		name := fmt.Sprintf("%s-%d", d.Name, int(d.FirstOrdinal())+n)
		e.Expect("RST-03", "a pod has the name of its StatefulSet and its number", framework.Name("pod", &pods[n]), pods[n].Name, gomega.Equal(name))
		claimed := "no claim"
		for _, pv := range pods[n].Spec.Volumes {
			if pv.Name == v.Name && pv.PersistentVolumeClaim != nil {
				claimed = pv.PersistentVolumeClaim.ClaimName
			}
		}
		e.Require("RST-03", "a claim has the name of its template and its pod", framework.Name("pod", &pods[n]), claimed, gomega.Equal(v.Claim+"-"+name))
		claim, err := e.Cluster.Client.CoreV1().PersistentVolumeClaims(d.Namespace).Get(ctx, claimed, metav1.GetOptions{})
		e.NoError(err, "get claim %s", claimed)
		claims = append(claims, *claim)
	}
	return claims
}

// resizedTo is a size that is not was.
func resizedTo(was resource.Quantity) resource.Quantity {
	size := resource.MustParse("320Mi")
	if was.Cmp(size) == 0 {
		size = resource.MustParse("400Mi")
	}
	return size
}

// expectResized examines the claim of an overlay that changes its size and class, and leaves its access modes.
func expectResized(ctx context.Context, e *framework.Env, d *deploy.Deployment, size resource.Quantity, wantClass string, modes []corev1.PersistentVolumeAccessMode) {
	claim := storage.OfMemoryFile(ctx, e, "KUS-08", d, workload.Pod(ctx, e, d))
	name := framework.Name("claim", claim)
	e.Expect("KUS-08", "the claim of the overlay is bound", name, claim.Status.Phase, gomega.Equal(corev1.ClaimBound))
	request, capacity := claim.Spec.Resources.Requests[corev1.ResourceStorage], claim.Status.Capacity[corev1.ResourceStorage]
	e.Expect("KUS-08", "the claim requests the size of the overlay", name, request.String(), gomega.Equal(size.String()))
	e.Expect("KUS-08", "the volume has the size of the overlay or more (bytes)", name, capacity.Value(), gomega.BeNumerically(">=", request.Value()))
	e.Expect("KUS-08", "the claim has the class of the overlay", name, ptr.Deref(claim.Spec.StorageClassName, ""), gomega.Equal(wantClass))
	e.Expect("KUS-08", "the claim has kept its access modes", name, claim.Spec.AccessModes, gomega.ConsistOf(modes))
	e.NoError(d.Delete(ctx), "delete %s", d.Dir)
	e.NoError(d.DeleteClaims(ctx), "delete the claims of %s", d.Dir)
}

// expectProtected deletes a claim that is in use, and then the pod.
func expectProtected(ctx context.Context, e *framework.Env, d *deploy.Deployment, claim *corev1.PersistentVolumeClaim, p *corev1.Pod) {
	e.Step("delete a claim in use")
	claims := e.Cluster.Client.CoreV1().PersistentVolumeClaims(claim.Namespace)
	name := framework.Name("claim", claim)
	e.NoError(claims.Delete(ctx, claim.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &claim.UID}}), "delete %s", name)
	e.Require("OBJ-06", "a claim that was deleted while a pod uses it is marked as deleted", name, storage.ClaimState(ctx, e, claim), gomega.Equal(storage.Deleting))
	fresh := stock.Of("while-deleted")
	stock.StoreIn(ctx, e, p, fresh)
	e.Expect("OBJ-06", "the pod continues to serve while its claim is marked as deleted", framework.Name("pod", p), stock.ServedBy(ctx, e, p, fresh), stock.All())
	e.Expect("OBJ-06", "the claim stays while the pod uses it", name, storage.ClaimState(ctx, e, claim), gomega.Equal(storage.Deleting))
	workload.ScaleUp(ctx, e, "RST-62", d)
	e.Expect("OBJ-06", "the claim is removed once its pod is gone", name, storage.RemoveClaim(ctx, e, claim), framework.Succeed)
}

// expectRetention sets the retention policy by which claims are deleted with their
// StatefulSet.
func expectRetention(ctx context.Context, e *framework.Env, d *deploy.Deployment, claim *corev1.PersistentVolumeClaim, items []memcached.Item) {
	e.Step("delete the claims with the StatefulSet")
	patch := []byte(`{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete","whenScaled":"Retain"}}}`)
	_, err := e.Cluster.Client.AppsV1().StatefulSets(d.Namespace).Patch(ctx, d.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	e.NoError(err, "set the retention policy of %s", d.Name)
	workload.ScaleDown(ctx, e, d)()
	name := framework.Name("claim", claim)
	claims := e.Cluster.Client.CoreV1().PersistentVolumeClaims(claim.Namespace)
	e.Expect("OBJ-07", "the claim stays while the StatefulSet is scaled to 0", name, storage.ClaimState(ctx, e, claim), gomega.Equal(storage.Exists))
	workload.ScaleUp(ctx, e, "RST-62", d)
	p := workload.Pod(ctx, e, d)
	e.Expect("OBJ-07", "with that policy a restart is warm", framework.Name("pod", p), stock.ServedBy(ctx, e, p, items), stock.All())
	e.NoError(d.Delete(ctx), "delete %s", d.Dir)
	err = e.Waiter.Until(ctx, wait.ClaimsGone, name+" to be deleted with its StatefulSet", func(ctx context.Context) (bool, string, error) {
		now, err := claims.Get(ctx, claim.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, "gone", nil
		}
		return false, string(now.Status.Phase), err
	})
	e.Expect("OBJ-07", "the claim is deleted with the StatefulSet", name, err, framework.Succeed)
}
