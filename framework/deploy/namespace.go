package deploy

import (
	"context"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/ledger"
	"pmem-memcached-e2e/framework/wait"
)

// Namespace creates a namespace with the labels and annotations of home, see [Manifest], registers its
// removal in l, and waits until pods can be made in it, which takes its default service account. A namespace
// that exists already is an error.
func Namespace(ctx context.Context, c *cluster.Cluster, w wait.Waiter, l *ledger.Ledger, name string, home metav1.ObjectMeta) error {
	meta := metav1.ObjectMeta{Name: name, Labels: map[string]string{}, Annotations: home.Annotations}
	maps.Copy(meta.Labels, home.Labels)
	delete(meta.Labels, corev1.LabelMetadataName) // which the API server sets
	meta.Labels["app.kubernetes.io/part-of"] = owner
	api := c.Client.CoreV1().Namespaces()
	ns, err := api.Create(ctx, &corev1.Namespace{ObjectMeta: meta}, metav1.CreateOptions{})
	if err != nil {
		if apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating namespace %s: %w; remove it or choose another name", name, err)
		}
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	l.Add("namespace "+name, func(ctx context.Context) error { return deleteNamespace(ctx, c, w, ns) })

	return w.Until(ctx, wait.NamespaceReady, "the default service account of namespace "+name, func(ctx context.Context) (bool, string, error) {
		_, err := c.Client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, "no service account; the controller manager makes it", nil
		}
		return err == nil, "service account default", err
	})
}

func deleteNamespace(ctx context.Context, c *cluster.Cluster, w wait.Waiter, ns *corev1.Namespace) error {
	api := c.Client.CoreV1().Namespaces()
	err := api.Delete(ctx, ns.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &ns.UID}})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return err
	}
	w.Changes = c.NamespaceChanges(ns.Name)
	return w.Until(ctx, wait.NamespaceGone, "the removal of namespace "+ns.Name, func(ctx context.Context) (bool, string, error) {
		current, err := api.Get(ctx, ns.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return true, "gone", nil
		case err != nil:
			return false, "", err
		case current.UID != ns.UID:
			return true, "gone, and created again by another", nil
		}
		return false, namespaceState(current), nil
	})
}

// namespaceState names what still holds up the removal, as the namespace controller reports it.
func namespaceState(ns *corev1.Namespace) string {
	state := []string{string(ns.Status.Phase)}
	for _, c := range ns.Status.Conditions {
		if c.Status == corev1.ConditionTrue {
			state = append(state, fmt.Sprintf("%s: %s", c.Type, c.Message))
		}
	}
	return strings.Join(state, "; ")
}
