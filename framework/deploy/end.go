package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/wait"
)

// unended judges why pods have not ended in time, which err reports.
func (d *Deployment) unended(ctx context.Context, err error) error {
	if _, late := errors.AsType[*wait.TimeoutError](err); !late || fault.Of(err) == fault.Infrastructure {
		return err
	}
	pods, cause := d.Pods(ctx)
	if cause != nil {
		return fmt.Errorf("%w; %w", err, cause)
	}
	for _, pod := range pods {
		node, cause := d.cluster.Client.CoreV1().Nodes().Get(ctx, pod.Spec.NodeName, metav1.GetOptions{})
		if cause != nil {
			return fmt.Errorf("%w; %w", err, cause)
		}
		if why := kept(pod, node, time.Now()); why != "" {
			return fault.OfInfrastructure(fmt.Errorf("%w; %s", err, why))
		}
	}
	return fault.OfDeployment(err)
}

// kept is why a pod that was deleted is still there for a reason that is not its own; empty if it is.
func kept(pod corev1.Pod, node *corev1.Node, now time.Time) string {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			return fmt.Sprintf("node %s is not Ready: %s", node.Name, c.Message)
		}
	}
	running := ""
	for _, c := range statuses(pod) {
		if c.State.Running != nil {
			running = c.Name
		}
	}
	switch {
	case pod.DeletionTimestamp == nil || len(pod.Finalizers) > 0:
	case running == "":
		return fmt.Sprintf("the containers of pod %s have ended, and the kubelet has not removed it", pod.Name)
	case now.After(pod.DeletionTimestamp.Time): // which includes the grace period
		return fmt.Sprintf("the grace period of pod %s is over, and the kubelet has not killed container %s", pod.Name, running)
	}
	return ""
}
