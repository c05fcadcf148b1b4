package deploy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"pmem-memcached-e2e/framework/wait"
)

// Claims returns the claims in use by the workload: those made from its claim templates, those of
// its pods' ephemeral volumes, and those that its pods refer to by name.
func (d *Deployment) Claims(ctx context.Context) ([]corev1.PersistentVolumeClaim, error) {
	list, err := d.cluster.Client.CoreV1().PersistentVolumeClaims(d.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the claims of %s %s/%s: %w", d.Kind, d.Namespace, d.Name, err)
	}
	var claims []corev1.PersistentVolumeClaim
	for _, claim := range list.Items {
		if !d.owns(claim) {
			continue
		}
		claims = append(claims, claim)
		d.remember(claim)
	}
	return claims, nil
}

func (d *Deployment) remember(claim corev1.PersistentVolumeClaim) {
	if claim.Spec.VolumeName != "" && (!d.refersTo(claim) || d.madeClaim(claim)) {
		d.volumes[claim.Spec.VolumeName] = claim.UID
	}
}

func (m *Manifest) owns(claim corev1.PersistentVolumeClaim) bool {
	for _, t := range m.claims {
		ordinal, ok := strings.CutPrefix(claim.Name, t.Name+"-"+m.Name+"-")
		if _, err := strconv.ParseUint(ordinal, 10, 31); ok && err == nil {
			return true
		}
	}
	return m.ephemeral(claim) || m.refersTo(claim)
}

// ephemeral reports whether claim belongs to a generic ephemeral volume of one of the workload's
// pods: it is owned by the pod and named after pod and volume.
func (m *Manifest) ephemeral(claim corev1.PersistentVolumeClaim) bool {
	owner := metav1.GetControllerOf(&claim)
	if owner == nil || owner.Kind != "Pod" || !strings.HasPrefix(owner.Name, m.Name+"-") {
		return false
	}
	for _, v := range m.template.Spec.Volumes {
		if v.Ephemeral != nil && claim.Name == owner.Name+"-"+v.Name {
			return true
		}
	}
	return false
}

// doomedClaims returns the claims that go when the objects of the manifest go.
func (d *Deployment) doomedClaims(ctx context.Context) ([]corev1.PersistentVolumeClaim, error) {
	if len(d.created) == 0 {
		return nil, nil
	}
	claims, err := d.Claims(ctx)
	var doomed []corev1.PersistentVolumeClaim
	for _, claim := range claims {
		if d.ephemeral(claim) || d.madeClaim(claim) {
			doomed = append(doomed, claim)
		}
	}
	return doomed, err
}

func (d *Deployment) madeClaim(claim corev1.PersistentVolumeClaim) bool {
	for _, o := range d.created {
		if o.GetUID() == claim.UID {
			return true
		}
	}
	return false
}

// DeleteClaims deletes the claims made from the workload's claim templates and waits until they and
// their persistent volumes are gone. A volume whose class retains it is an error. The pods have to
// be gone before. A claim that the manifest only refers to is left alone.
func (d *Deployment) DeleteClaims(ctx context.Context) error {
	if len(d.created) == 0 {
		return nil
	}
	all, err := d.Claims(ctx)
	if err != nil {
		return err
	}
	var claims []corev1.PersistentVolumeClaim
	var errs error
	for _, claim := range all {
		if d.ephemeral(claim) || d.refersTo(claim) {
			continue
		}
		claims = append(claims, claim)
		err := d.cluster.Client.CoreV1().PersistentVolumeClaims(d.Namespace).Delete(ctx, claim.Name,
			metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &claim.UID}})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			errs = errors.Join(errs, fmt.Errorf("deleting claim %s/%s: %w", d.Namespace, claim.Name, err))
		}
	}
	return errors.Join(errs, d.claimsGone(ctx, claims, true))
}

func (m *Manifest) refersTo(claim corev1.PersistentVolumeClaim) bool {
	for _, v := range m.template.Spec.Volumes {
		if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim.Name {
			return true
		}
	}
	return false
}

// claimsGone waits until claims, and the volumes bound to them, are gone; with every, all volumes
// that were ever seen bound to claims of this deployment.
func (d *Deployment) claimsGone(ctx context.Context, claims []corev1.PersistentVolumeClaim, every bool) error {
	doomed := map[types.UID]bool{}
	for _, claim := range claims {
		doomed[claim.UID] = true
	}
	if len(claims) == 0 && (!every || len(d.volumes) == 0) {
		return nil
	}
	what := fmt.Sprintf("the removal of %d claims of %s %s/%s and their volumes", len(claims), d.Kind, d.Namespace, d.Name)
	return d.waiter.Until(ctx, wait.ClaimsGone, what, func(ctx context.Context) (bool, string, error) {
		var left []string
		for _, claim := range claims {
			current, err := d.cluster.Client.CoreV1().PersistentVolumeClaims(d.Namespace).Get(ctx, claim.Name, metav1.GetOptions{})
			switch {
			case apierrors.IsNotFound(err):
			case err != nil:
				return false, "claim " + claim.Name, err
			case current.UID == claim.UID:
				d.remember(*current)
				left = append(left, fmt.Sprintf("claim %s %s%s", claim.Name, current.Status.Phase, finalizers(current.Finalizers)))
			}
		}
		for name, uid := range d.volumes {
			if !every && !doomed[uid] {
				continue
			}
			text, err := d.volumeState(ctx, name, uid)
			if err != nil {
				return false, "persistent volume " + name, err
			}
			if text != "" {
				left = append(left, text)
			}
		}
		return len(left) == 0, strings.Join(left, ", "), nil
	})
}

// volumeState returns an empty string when the volume is gone or belongs to another claim.
func (d *Deployment) volumeState(ctx context.Context, name string, claim types.UID) (string, error) {
	pv, err := d.cluster.Client.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", err
	case pv.Spec.ClaimRef == nil || pv.Spec.ClaimRef.UID != claim:
		return "", nil
	case pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRetain && pv.Status.Phase == corev1.VolumeReleased:
		return "", wait.Stop(fmt.Errorf("persistent volume %s stays, because its class %s retains volumes; delete it by hand or use a class with reclaimPolicy Delete", name, pv.Spec.StorageClassName))
	}
	return fmt.Sprintf("persistent volume %s %s%s", name, pv.Status.Phase, message(pv.Status.Message)), nil
}

func message(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}
