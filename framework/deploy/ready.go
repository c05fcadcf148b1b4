package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/wait"
)

const (
	logLines     = 20
	detailsLimit = 15 * time.Second
)

// Ready waits until as many pods as the workload wants, and no others, are Ready, and until memcached
// answers in those that have no readiness probe. It ends early in
// states that do not mend by themselves, such as an image that cannot be pulled, a crash loop, a
// CSI driver or storage class that does not exist, a mount that keeps failing, a pod that cannot be
// scheduled, and pods refused by admission. The error has
// the state of the pods, the latest warnings, and the end of the log of containers that failed. For package fault it is
// that of the deployment, unless the API server could not be asked, the pods lacked a volume while the driver was not
// Ready, or the cluster has room for some of the replicas and not for all.
func (d *Deployment) Ready(ctx context.Context) error {
	var last snapshot
	var seen persisting
	var driver error // why the driver could not make a volume
	what := fmt.Sprintf("%s %s/%s to be ready", d.Kind, d.Namespace, d.Name)
	err := d.watching(cluster.Pods, strings.ToLower(d.Kind)+"s").Until(ctx, wait.DeploymentReady, what, func(ctx context.Context) (bool, string, error) {
		s, err := d.snapshot(ctx)
		if err != nil {
			return false, "", err
		}
		last = s
		if s.ready() {
			return true, s.String(), nil
		}
		problems := s.problems(d.settled)
		if needsDriver(problems) {
			if down := driverDown(ctx, d.cluster); down != nil {
				driver, problems = down, slices.DeleteFunc(problems, func(t problem) bool { return t.storage })
			}
		}
		if seen, err = seen.check(problems, time.Now(), d.waiter.Scale.Of(wait.DeploymentReady)); err != nil {
			return false, "", err
		}
		return false, s.String(), nil
	})
	for _, p := range live(last.pods, isReady) {
		if err == nil {
			err = AwaitAnswer(ctx, d.cluster, d.waiter, &p)
		}
	}
	if err != nil {
		return d.unready(err, driver, last, d.details(ctx, last))
	}
	d.settled = last.baseline()
	return nil
}

// unready judges why the deployment is not ready.
func (d *Deployment) unready(err, driver error, last snapshot, details string) error {
	_, timeout := errors.AsType[*wait.TimeoutError](err)
	switch full := last.noRoom(d.settled, d.changes.OneNode); {
	case fault.Of(err) == fault.Infrastructure:
	case full != "":
		err = fault.OfInfrastructure(fmt.Errorf("the cluster has no room for %d replicas: %s: %w", last.workload.want, full, err))
	case timeout && driver != nil:
		err = fault.OfInfrastructure(fmt.Errorf("%w; meanwhile the driver was not Ready: %w", err, driver))
	default:
		err = fault.OfDeployment(err)
	}
	return fmt.Errorf("%w\n%s", err, details)
}

func needsDriver(problems []problem) bool {
	return slices.ContainsFunc(problems, func(t problem) bool { return t.storage })
}

// driverDown returns why the driver is not Ready on all of its nodes; nil if it is.
func driverDown(ctx context.Context, c *cluster.Cluster) error {
	_, unready, err := pmem.FindNodeDrivers(ctx, c)
	for _, why := range unready {
		err = errors.Join(err, why)
	}
	return err
}

// Scale sets the number of replicas, and waits until the pods are gone for 0, else for Ready. That a pod does not end is for
// package fault an error of the deployment, unless its node or the driver keeps it.
func (d *Deployment) Scale(ctx context.Context, replicas int32) error {
	if err := d.SetReplicas(ctx, replicas); err != nil {
		return err
	}
	if replicas == 0 {
		return d.unended(ctx, d.podsGone(ctx, wait.ScaledDown))
	}
	return d.Ready(ctx)
}

// SetReplicas sets the number of replicas and does not wait.
func (d *Deployment) SetReplicas(ctx context.Context, replicas int32) error {
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	apps := d.cluster.Client.AppsV1()
	var err error
	switch d.Kind {
	case "Deployment":
		_, err = apps.Deployments(d.Namespace).Patch(ctx, d.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "scale")
	default:
		_, err = apps.StatefulSets(d.Namespace).Patch(ctx, d.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "scale")
	}
	if err != nil {
		return fmt.Errorf("scaling %s %s/%s to %d: %w", d.Kind, d.Namespace, d.Name, replicas, err)
	}
	return nil
}

func (d *Deployment) snapshot(ctx context.Context) (snapshot, error) {
	var s snapshot
	about := map[types.UID]bool{} // objects whose events matter
	switch d.Kind {
	case "Deployment":
		current, err := d.cluster.Client.AppsV1().Deployments(d.Namespace).Get(ctx, d.Name, metav1.GetOptions{})
		if err != nil {
			return s, goneForGood(err)
		}
		s.workload = fromDeployment(current)
		about[current.UID] = true
		sets, err := d.cluster.Client.AppsV1().ReplicaSets(d.Namespace).List(ctx, metav1.ListOptions{LabelSelector: d.selector.String()})
		if err != nil {
			return s, fmt.Errorf("listing replica sets: %w", err)
		}
		for _, set := range sets.Items {
			about[set.UID] = metav1.IsControlledBy(&set, current) && set.Spec.Replicas != nil && *set.Spec.Replicas > 0
		}
	default:
		current, err := d.cluster.Client.AppsV1().StatefulSets(d.Namespace).Get(ctx, d.Name, metav1.GetOptions{})
		if err != nil {
			return s, goneForGood(err)
		}
		s.workload = fromStatefulSet(current)
		about[current.UID] = true
	}

	var err error
	if s.pods, err = d.Pods(ctx); err != nil {
		return s, err
	}
	for _, pod := range s.pods {
		about[pod.UID] = true
	}
	claims, err := d.Claims(ctx)
	if err != nil {
		return s, err
	}
	for _, claim := range claims {
		about[claim.UID] = true
	}
	events, err := d.cluster.Client.CoreV1().Events(d.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=" + corev1.EventTypeWarning})
	if err != nil {
		return s, fmt.Errorf("listing events: %w", err)
	}
	for _, e := range events.Items {
		if about[e.InvolvedObject.UID] {
			s.events = append(s.events, e)
		}
	}
	return s, nil
}

// goneForGood ends a wait for a workload that somebody has removed.
func goneForGood(err error) error {
	if apierrors.IsNotFound(err) {
		return wait.Stop(fault.OfInfrastructure(err))
	}
	return err
}

// details describes a snapshot over several lines, with the logs of the containers that failed.
func (d *Deployment) details(ctx context.Context, s snapshot) string {
	// The time for the wait is used up, the details are wanted nevertheless.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), detailsLimit)
	defer cancel()
	var b strings.Builder
	if len(s.pods) == 0 {
		b.WriteString("no pods\n")
	}
	for _, pod := range s.pods {
		fmt.Fprintf(&b, "pod %s: %s%s\n", pod.Name, pod.Status.Phase, message(pod.Status.Message))
		for _, c := range pod.Status.Conditions {
			if c.Status != corev1.ConditionTrue && c.Message != "" {
				fmt.Fprintf(&b, "  %s %s: %s\n", c.Type, c.Status, c.Message)
			}
		}
		for _, c := range statuses(pod) {
			fmt.Fprintf(&b, "  container %s: %s\n", c.Name, containerState(c))
			if wants, previous := failedLog(c); wants {
				b.WriteString(d.tail(ctx, pod.Name, c.Name, previous))
			}
		}
	}
	for _, e := range s.events {
		fmt.Fprintf(&b, "warning (%d times) %s\n", max(1, count(e)), eventLine(e))
	}
	return strings.TrimRight(b.String(), "\n")
}

// failedLog reports whether the log of a container is of interest, and of which instance.
func failedLog(c corev1.ContainerStatus) (wants, previous bool) {
	switch {
	case c.State.Terminated != nil:
		return c.State.Terminated.ExitCode != 0, false
	case c.State.Running != nil && !c.Ready:
		return true, false
	}
	return c.LastTerminationState.Terminated != nil, true
}

func (d *Deployment) tail(ctx context.Context, pod, container string, previous bool) string {
	text, err := d.cluster.LogTail(ctx, d.Namespace, pod, container, previous, logLines)
	if err != nil {
		return fmt.Sprintf("    no log: %v\n", err)
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		fmt.Fprintf(&b, "    | %s\n", strings.TrimRight(line, "\r\n"))
	}
	if b.Len() == 0 {
		return "    the log is empty\n"
	}
	return b.String()
}
