package e2e

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/wait"
)

// removeClaim deletes a claim and waits until it is gone. NotFound is success.
func removeClaim(ctx context.Context, e *framework.Env, claim metav1.Object) error {
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

// expectFreed removes the claim and examines that its volume follows.
func expectFreed(ctx context.Context, e *framework.Env, d *deploy.Deployment, claim *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) {
	e.Expect("OBJ-05", "the claim can be removed", framework.Name("claim", claim), removeClaim(ctx, e, claim), framework.Succeed)
	err := awaitVolumeGone(ctx, e, pv)
	e.Expect("OBJ-05", "the volume goes with its claim", framework.Name("volume", pv), err, framework.Succeed)
	e.NoError(d.DeleteClaims(ctx), "remove what is left of %s", d.Dir)
}

func awaitVolumeGone(ctx context.Context, e *framework.Env, pv *corev1.PersistentVolume) error {
	return e.Waiter.Until(ctx, wait.VolumeFreed, "the removal of "+framework.Name("volume", pv), func(ctx context.Context) (bool, string, error) {
		v, err := e.Cluster.Client.CoreV1().PersistentVolumes().Get(ctx, pv.Name, getOptions)
		if apierrors.IsNotFound(err) {
			return true, "gone", nil
		}
		if err != nil {
			return false, "", err
		}
		return v.UID != pv.UID, string(v.Status.Phase) + " " + v.Status.Message, nil
	})
}
