package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// SetImage changes the image of the container memcached in the workload's template, and waits until the pods that
// follow from it are Ready.
func (d *Deployment) SetImage(ctx context.Context, image string) error {
	return d.patchContainer(ctx, "setting the image", "image", image)
}

// SetLivenessProbe has the kubelet restart the container memcached when the
// probe fails, in the same way.
func (d *Deployment) SetLivenessProbe(ctx context.Context, probe corev1.Probe) error {
	return d.patchContainer(ctx, "setting the liveness probe", "livenessProbe", probe)
}

// Restart replaces all pods, as kubectl rollout restart does, and waits until
// the new ones are Ready.
func (d *Deployment) Restart(ctx context.Context) error {
	now := time.Now().Format(time.RFC3339)
	return d.patchTemplate(ctx, "restarting", map[string]any{"metadata": map[string]any{
		"annotations": map[string]any{"kubectl.kubernetes.io/restartedAt": now},
	}})
}

// patchContainer changes a field of the container memcached.
func (d *Deployment) patchContainer(ctx context.Context, what, field string, value any) error {
	return d.patchTemplate(ctx, what, map[string]any{"spec": map[string]any{"containers": []any{
		map[string]any{"name": Container, field: value},
	}}})
}

func (d *Deployment) patchTemplate(ctx context.Context, what string, template map[string]any) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": template}})
	if err != nil {
		return err
	}
	apps := d.cluster.Client.AppsV1()
	switch d.Kind {
	case "Deployment":
		_, err = apps.Deployments(d.Namespace).Patch(ctx, d.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	default:
		_, err = apps.StatefulSets(d.Namespace).Patch(ctx, d.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	}
	if err != nil {
		return fmt.Errorf("%s of %s %s/%s: %w", what, d.Kind, d.Namespace, d.Name, err)
	}
	if err := d.replaceByHand(ctx); err != nil {
		return fmt.Errorf("%s of %s %s/%s: %w", what, d.Kind, d.Namespace, d.Name, err)
	}
	return d.Ready(ctx)
}

// replaceByHand deletes the pods when their workload leaves it to its user to replace them.
func (d *Deployment) replaceByHand(ctx context.Context) error {
	if d.strategy != appsv1.OnDeleteStatefulSetStrategyType {
		return nil
	}
	pods, err := d.Pods(ctx)
	if err != nil {
		return err
	}
	for _, p := range pods {
		err := d.cluster.Client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &p.UID}})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting pod %s, which strategy %s does not replace: %w", p.Name, d.strategy, err)
		}
	}
	return nil
}
