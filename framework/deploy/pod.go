package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/wait"
)

// AwaitPod waits until reached holds for a single pod, and returns the pod. It
// ends early in the states that end [Deployment.Ready], and when the pod is
// removed.
func AwaitPod(ctx context.Context, c *cluster.Cluster, w wait.Waiter, name wait.Name, what string, pod *corev1.Pod, reached func(*corev1.Pod) bool) (*corev1.Pod, error) {
	w.Changes = c.Changes(pod.Namespace, cluster.Pods)
	var seen persisting
	current := pod
	err := w.Until(ctx, name, what, func(ctx context.Context) (bool, string, error) {
		p, err := c.Client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || (err == nil && p.UID != pod.UID) {
			return false, "", wait.Stop(errors.New("the pod was removed by another user"))
		}
		if err != nil {
			return false, "", err
		}
		current = p
		if reached(p) {
			return true, summarise([]corev1.Pod{*p}), nil
		}
		events, err := c.Client.CoreV1().Events(pod.Namespace).List(ctx, metav1.ListOptions{
			FieldSelector: fmt.Sprintf("type=%s,involvedObject.uid=%s", corev1.EventTypeWarning, pod.UID)})
		if err != nil {
			return false, "", fmt.Errorf("listing events: %w", err)
		}
		s := snapshot{workload: workload{want: 1}, pods: []corev1.Pod{*p}, events: events.Items}
		if seen, err = seen.check(s.problems(baseline{}), time.Now(), w.Scale.Of(name)); err != nil {
			return false, "", err
		}
		return false, s.String(), nil
	})
	return current, err
}
