// Package storage makes and removes claims and storage classes.
package storage

import (
	"context"
	"fmt"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"pmem-memcached-e2e/e2e/internal/events"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// SizeForXFS is the size of a volume with xfs, which mkfs.xfs does not make on
// 500 MiB or less.
const SizeForXFS = "720Mi"

// SizeForFileIO is the size of a claim for file I/O that a driver without LVM
// can provide, too. There the volume is a namespace with a block translation
// table, which needs more than 16 MiB (ARENA_MIN_SIZE of Linux's
// drivers/nvdimm/btt.h). PMEM-CSI v1.1.0 does not count the table as part of the
// volume, so that the provisioner refuses a claim for a multiple of 16 MiB.
const SizeForFileIO = "30Mi"

// RemoveClaim deletes a claim and waits until it is gone. NotFound is success.
func RemoveClaim(ctx context.Context, e *framework.Env, claim metav1.Object) error {
	claims := e.Cluster.Client.CoreV1().PersistentVolumeClaims(claim.GetNamespace())
	uid := claim.GetUID()
	err := claims.Delete(ctx, claim.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return err
	}
	return e.Waiter.Until(ctx, wait.ClaimsGone, "the removal of "+framework.Name("claim", claim), func(ctx context.Context) (bool, string, error) {
		c, err := claims.Get(ctx, claim.GetName(), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, "gone", nil
		}
		if err != nil {
			return false, "", err
		}
		return c.UID != uid, string(c.Status.Phase), nil
	})
}

// AwaitVolumeGone waits until a persistent volume is gone.
func AwaitVolumeGone(ctx context.Context, e *framework.Env, pv *corev1.PersistentVolume) error {
	return e.Waiter.Until(ctx, wait.VolumeFreed, "the removal of "+framework.Name("volume", pv), func(ctx context.Context) (bool, string, error) {
		v, err := e.Cluster.Client.CoreV1().PersistentVolumes().Get(ctx, pv.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, "gone", nil
		}
		if err != nil {
			return false, "", err
		}
		return v.UID != pv.UID, string(v.Status.Phase) + " " + v.Status.Message, nil
	})
}

// MakeClaim makes a claim that is removed with the ledger.
func MakeClaim(ctx context.Context, e *framework.Env, class, size string, mode corev1.PersistentVolumeMode) *corev1.PersistentVolumeClaim {
	claim, err := e.Cluster.Client.CoreV1().PersistentVolumeClaims(e.Namespace).Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "claim-"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class, VolumeMode: &mode,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
		},
	}, metav1.CreateOptions{})
	e.NoError(err, "make a claim")
	e.Ledger.Add(framework.Name("claim", claim), func(ctx context.Context) error { return RemoveClaim(ctx, e, claim) })
	return claim
}

// OfMemoryFile is the claim behind the volume of the memory file in a pod of a deployment. The spec ends with req
// not met without one.
func OfMemoryFile(ctx context.Context, e *framework.Env, req spec.ReqID, d *deploy.Deployment, p *corev1.Pod) *corev1.PersistentVolumeClaim {
	v, err := d.Volume()
	e.Require(req, "the deployment has a volume for the memory file", d.Dir, err, framework.Succeed)
	name := claimed(p, v.Name)
	e.Require(req, "the pod has a claim for the memory file", framework.Name("pod", p), name, gomega.Not(gomega.Equal(unclaimed)))
	return CurrentClaim(ctx, e, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: name}})
}

const unclaimed = "no claim"

// claimed is the name of the claim behind a volume of a pod, or [unclaimed].
func claimed(p *corev1.Pod, volume string) string {
	for _, v := range p.Spec.Volumes {
		switch {
		case v.Name != volume:
		case v.PersistentVolumeClaim != nil:
			return v.PersistentVolumeClaim.ClaimName
		case v.Ephemeral != nil:
			return p.Name + "-" + volume
		}
	}
	return unclaimed
}

// CurrentClaim reads a claim again.
func CurrentClaim(ctx context.Context, e *framework.Env, claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	got, err := e.Cluster.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).Get(ctx, claim.Name, metav1.GetOptions{})
	e.NoError(err, "read %s", framework.Name("claim", claim))
	return got
}

// AwaitBound waits until a claim is bound and returns it as it is then.
func AwaitBound(ctx context.Context, e *framework.Env, claim *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
	name := framework.Name("claim", claim)
	err := e.Waiter.Until(ctx, wait.ClaimBound, name+" to be bound", func(ctx context.Context) (bool, string, error) {
		got, err := e.Cluster.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).Get(ctx, claim.Name, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		claim = got
		lines, err := events.Of(ctx, e, got.Namespace, got.UID)
		return got.Status.Phase == corev1.ClaimBound, string(got.Status.Phase) + ": " + strings.Join(lines, "; "), err
	})
	return claim, err
}

// EveryOther stands for the nodes that a cluster may get, on which a volume without an affinity would be used, too.
const EveryOther = "every other node, as the volume has no affinity"

// AffinityNodes are those of nodes on which the scheduler places the pods of a
// volume. If it has no affinity, they are all of them and [EveryOther], so that it is not
// taken for one that is tied to the only node of a cluster.
func AffinityNodes(pv *corev1.PersistentVolume, nodes []corev1.Node) ([]string, error) {
	var names []string
	for i := range nodes {
		fits := true
		if pv.Spec.NodeAffinity != nil && pv.Spec.NodeAffinity.Required != nil {
			selector, err := nodeaffinity.NewNodeSelector(pv.Spec.NodeAffinity.Required)
			if err != nil {
				return nil, fmt.Errorf("affinity of volume %s: %w", pv.Name, err)
			}
			fits = selector.Match(&nodes[i])
		}
		if fits {
			names = append(names, nodes[i].Name)
		}
	}
	if pv.Spec.NodeAffinity == nil || pv.Spec.NodeAffinity.Required == nil {
		names = append(names, EveryOther)
	}
	return names, nil
}

// What [ClaimState] returns.
const (
	Exists   = "it exists"
	Deleting = "it is marked as deleted"
)

// ClaimState looks for a claim: [Exists], [Deleting], or what is there instead.
func ClaimState(ctx context.Context, e *framework.Env, claim *corev1.PersistentVolumeClaim) string {
	now, err := e.Cluster.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).Get(ctx, claim.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "it is gone"
	case err != nil:
		e.NoError(err, "read %s", framework.Name("claim", claim))
	case now.UID != claim.UID:
		return "another claim has its name"
	case now.DeletionTimestamp != nil:
		return Deleting
	}
	return Exists
}
