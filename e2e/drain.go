package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/drain"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

var _ = framework.It(spec.Spec{
	ID: "OPS-09E", Title: "an ephemeral pod moves from a node that is drained to another one with persistent memory",
	Covers: []spec.ReqID{"OPS-09"},
	Level:  spec.Must, Profile: spec.Ephemeral,
	Needs: []spec.Feature{spec.Disruption, spec.SecondNode, spec.InlineVolume, spec.NodeAccess},
	Tags:  []string{"restart", disruptive}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "OPS-09", e.Manifest(spec.Ephemeral))
	p := pod(ctx, e, d)
	items, fresh := stock("before"), stock("since")
	storeIn(ctx, e, p, items)

	drained(ctx, e, p)
	awaitReplaced(ctx, e, d, p)
	e.Require("OPS-09", "once its node was drained the deployment becomes ready elsewhere", workload(d), d.Ready(ctx), framework.Succeed)
	q := pod(ctx, e, d)
	name := framework.Name("pod", q)
	e.Expect("OPS-09", "the pod has left the node that was drained", name, q.Spec.NodeName, gomega.Not(gomega.Equal(p.Spec.NodeName)))
	e.Expect("OPS-09", "items from before the drain are served", name, servedBy(ctx, e, q, items), gomega.Equal(none(items)))
	expectPMEM(ctx, e, "OPS-09", inspect(ctx, e, "OPS-09", q), requestedSize(d))
	storeIn(ctx, e, q, fresh)
	e.Expect("OPS-09", "items stored since are served", name, servedBy(ctx, e, q, fresh), gomega.Equal(all(fresh)))
})

var _ = framework.It(spec.Spec{
	ID: "OPS-09P", Title: "a persistent pod waits for its node while that is drained, although there is another one, and is warm then",
	Covers: []spec.ReqID{"OPS-09", "RST-07"},
	Level:  spec.Must, Profile: spec.Persistent,
	Needs: []spec.Feature{spec.Disruption, spec.SecondNode, spec.NodeAccess},
	Tags:  []string{"restart", disruptive}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "OPS-09", e.Manifest(spec.Persistent))
	p := pod(ctx, e, d)
	items := stock("kept")
	storeIn(ctx, e, p, items)

	uncordon := drained(ctx, e, p)
	downLongEnough := awaitDowntime(ctx, e)
	expectUnschedulable(ctx, e, d, "OPS-09")
	downLongEnough()
	e.NoError(uncordon(ctx), "uncordon node %s", p.Spec.NodeName)
	e.Require("RST-07", "the pod starts once its node accepts pods again", workload(d), d.Ready(ctx), framework.Succeed)
	q := pod(ctx, e, d)
	name := framework.Name("pod", q)
	e.Expect("OPS-09", "the pod is on the node of its volume", name, q.Spec.NodeName, gomega.Equal(p.Spec.NodeName))
	e.Expect("RST-07", "after its node was drained, items are served", name, servedBy(ctx, e, q, items), gomega.Equal(all(items)))
})

// drained does to the node of p what kubectl drain does, but leaves alone the
// pods that the spec has not made. It returns when p is gone.
func drained(ctx context.Context, e *framework.Env, p *corev1.Pod) (uncordon func(context.Context) error) {
	node := p.Spec.NodeName
	e.Step("drain node %s", node)
	uncordon = cordon(ctx, e, node)
	var says strings.Builder
	limit, err := e.Waiter.Limit(wait.PodReplaced)
	e.NoError(err, "find how long a drain may take")
	helper := &drain.Helper{
		// Pods of others may have no controller; they are seen before the filter below leaves them out.
		Force: true,
		Ctx:   ctx, Client: e.Cluster.Client, Out: &says, ErrOut: &says,
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
	e.NoError(errors.Join(errs...), "find the pods of node %s that have to go", node)
	evicted := list.Pods()
	if !slices.ContainsFunc(evicted, func(other corev1.Pod) bool { return other.UID == p.UID }) {
		e.NoError(fmt.Errorf("%d pods would go and it is not among them", len(evicted)), "drain node %s of %s", node, framework.Name("pod", p))
	}
	err = helper.DeleteOrEvictPods(evicted)
	e.Require("OPS-09", "the pod can be evicted from a node that is drained "+says.String(), framework.Name("pod", p), err, framework.Succeed)
	return uncordon
}

// awaitReplaced waits until the controller of p has made another pod.
func awaitReplaced(ctx context.Context, e *framework.Env, d *deploy.Deployment, p metav1.Object) {
	_, err := awaitPods(ctx, e, d, wait.PodReplaced, "another pod in the place of "+framework.Name("pod", p), func(pods []corev1.Pod) bool {
		return slices.ContainsFunc(pods, func(other corev1.Pod) bool { return other.UID != p.GetUID() })
	})
	e.NoError(err, "see %s replaced", framework.Name("pod", p))
}
