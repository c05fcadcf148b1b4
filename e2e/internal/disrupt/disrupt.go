// Package disrupt disrupts a node or the driver on it.
package disrupt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubectl/pkg/drain"

	"pmem-memcached-e2e/e2e/internal/idle"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// Tag marks specs that disrupt a node or its driver for other workloads, too.
const Tag = "disruptive"

// Cordon keeps pods from a node until the function that it returns is called,
// or the spec ends. The scheduler has heard of it, as pods next to a deployment show.
func Cordon(ctx context.Context, e *framework.Env, d *deploy.Deployment, node string) (uncordon func(context.Context) error) {
	set := func(ctx context.Context, unschedulable bool) error {
		patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, unschedulable)
		_, err := e.Cluster.Client.CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		return err
	}
	n, err := e.Cluster.Client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err == nil && n.Spec.Unschedulable {
		err = fmt.Errorf("it is cordoned already")
	}
	e.NoError(err, "see that node %s accepts pods", node)
	uncordon = func(ctx context.Context) error { return set(ctx, false) }
	e.Ledger.Add("cordon of node "+node, uncordon)
	e.NoError(set(ctx, true), "cordon node %s", node)
	err = e.Waiter.Until(ctx, wait.NodeCordoned, "the scheduler to place no pod on the cordoned node "+node, func(ctx context.Context) (bool, string, error) {
		p := idle.Pod(ctx, e, d.Manifest, "cordoned-")
		p.Spec.Affinity, p.Spec.Tolerations = idle.OnNode(node), nil
		p = e.StartPod(ctx, p)
		where := awaitScheduled(ctx, e, p)
		e.RemovePod(ctx, p)
		return noticed(where), where, nil
	})
	e.NoError(err, "cordon node %s", node)
	return uncordon
}

// awaitScheduled returns where the scheduler has placed a pod, or why nowhere.
func awaitScheduled(ctx context.Context, e *framework.Env, p *corev1.Pod) (where string) {
	err := e.Watching(p.Namespace, cluster.Pods).Until(ctx, wait.PodRuns, "the scheduler to try to place "+framework.Name("pod", p), func(ctx context.Context) (bool, string, error) {
		now, err := e.Cluster.Client.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		where = placed(now)
		return where != "", "it has not", nil
	})
	e.NoError(err, "see where %s is placed", framework.Name("pod", p))
	return where
}

// placed is where the scheduler has placed a pod, or why nowhere; empty before it has tried.
func placed(p *corev1.Pod) string {
	if p.Spec.NodeName != "" {
		return "it is on node " + p.Spec.NodeName
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return fmt.Sprintf("%s: %s: %s", p.Status.Phase, c.Reason, c.Message)
		}
	}
	return ""
}

const (
	unplaced = "Pending: Unschedulable: "
	cordoned = "unschedulable" // in the scheduler's message about nodes that are cordoned
)

func noticed(where string) bool {
	return strings.HasPrefix(where, unplaced) && strings.Contains(where, cordoned)
}

// ExpectUnschedulable expects that the pod of d has no node and reports why.
func ExpectUnschedulable(ctx context.Context, e *framework.Env, d *deploy.Deployment, req spec.ReqID) {
	var why string
	_, err := workload.AwaitPods(ctx, e, d, wait.PodReplaced, "the scheduler to report why it finds no node for the pod of "+workload.Name(d), func(pods []corev1.Pod) bool {
		if len(pods) > 0 {
			why = placed(&pods[0])
		}
		return why != ""
	})
	e.Require(req, "while its node is cordoned the scheduler has tried to place the pod", workload.Name(d), err, framework.Succeed)
	e.Expect(req, "while its node is cordoned the pod is Pending and reports why", workload.Name(d), why,
		gomega.And(gomega.HavePrefix(unplaced), gomega.ContainSubstring(cordoned)))
}

// budgetsAgainst are the disruption budgets that allow no eviction of p. One that was just made is given the time in
// which its controller counts the pods.
func budgetsAgainst(ctx context.Context, e *framework.Env, p *corev1.Pod) ([]string, error) {
	var against []string
	err := e.Waiter.Until(ctx, wait.EventSeen, "the disruption budgets of "+framework.Name("pod", p)+" to be counted", func(ctx context.Context) (bool, string, error) {
		against = nil
		list, err := e.Cluster.Client.PolicyV1().PodDisruptionBudgets(p.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, "", err
		}
		counted := true
		for _, b := range list.Items {
			selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
			if err != nil || !selector.Matches(labels.Set(p.Labels)) {
				continue
			}
			counted = counted && b.Status.ObservedGeneration >= b.Generation && b.Status.CurrentHealthy > 0
			if b.Status.DisruptionsAllowed < 1 {
				against = append(against, fmt.Sprintf("PodDisruptionBudget %s needs %d healthy pods and has %d", b.Name, b.Status.DesiredHealthy, b.Status.CurrentHealthy))
			}
		}
		return counted, strings.Join(against, "; "), nil
	})
	return against, err
}

// Drain drains the node of p, a pod of d, as kubectl drain does, except that it evicts no pods
// outside the namespace of p. It returns when p is gone.
func Drain(ctx context.Context, e *framework.Env, d *deploy.Deployment, p *corev1.Pod) (uncordon func(context.Context) error) {
	node := p.Spec.NodeName
	blocked, err := budgetsAgainst(ctx, e, p)
	e.NoError(err, "read the disruption budgets of %s", framework.Name("pod", p))
	e.Require("OPS-09", "a disruption budget allows the pod to be evicted", framework.Name("pod", p), blocked, gomega.BeEmpty())
	e.Step("drain node %s", node)
	uncordon = Cordon(ctx, e, d, node)
	var output strings.Builder
	limit, err := e.Waiter.Limit(wait.PodReplaced)
	e.NoError(err, "find how long a drain may take")
	helper := &drain.Helper{
		// Pods of others may have no controller; they are seen before the filter below leaves them out.
		Force: true,
		Ctx:   ctx, Client: e.Cluster.Client, Out: &output, ErrOut: &output,
		GracePeriodSeconds: -1, IgnoreAllDaemonSets: true, DeleteEmptyDirData: true,
		Timeout: limit,
		AdditionalFilters: []drain.PodFilter{func(other corev1.Pod) drain.PodDeleteStatus {
			if other.Namespace != p.Namespace {
				return drain.MakePodDeleteStatusSkip()
			}
			return drain.MakePodDeleteStatusOkay()
		}},
	}
	list, errs := helper.GetPodsForDeletion(node)
	e.NoError(errors.Join(errs...), "find the pods of node %s that have to be evicted", node)
	evicted := list.Pods()
	if !slices.ContainsFunc(evicted, func(other corev1.Pod) bool { return other.UID == p.UID }) {
		e.NoError(fmt.Errorf("%d pods would be evicted and it is not among them", len(evicted)), "drain node %s of %s", node, framework.Name("pod", p))
	}
	err = helper.DeleteOrEvictPods(evicted)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, output.String())
	}
	e.Require("OPS-09", "the pod can be evicted from a node that is drained", framework.Name("pod", p), err, framework.Succeed)
	return uncordon
}

// RestartDriver removes the driver's pod on a node and waits until another is
// Ready there.
func RestartDriver(ctx context.Context, e *framework.Env, node string) {
	old, err := pmem.FindNodeDriver(ctx, e.Cluster, node)
	e.NoError(err, "find the driver on node %s", node)
	e.Step("restart the driver on node %s", node)
	err = e.Cluster.Client.CoreV1().Pods(old.Namespace).Delete(ctx, old.Pod, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		e.NoError(err, "remove pod %s/%s", old.Namespace, old.Pod)
	}
	err = e.Waiter.Until(ctx, wait.DriverReady, "another pod of the driver to be Ready on node "+node, func(ctx context.Context) (bool, string, error) {
		nd, err := pmem.FindNodeDriver(ctx, e.Cluster, node)
		if err != nil {
			return false, "", err
		}
		return nd.Pod != old.Pod, fmt.Sprintf("pod %s", nd.Pod), nil
	})
	e.NoError(err, "restart the driver on node %s", node)
}
