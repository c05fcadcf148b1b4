package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubectl/pkg/util/podutils"
	"sigs.k8s.io/e2e-framework/support"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// disruptive specs put a node or its driver out of use for others, too.
const disruptive = "disruptive"

var _ = framework.It(spec.Spec{
	ID: "RST-07", Title: "the cache outlasts a node that accepts no pods and a restart of the driver",
	Covers: []spec.ReqID{"RST-07", "RST-63"},
	Level:  spec.Must, Profile: spec.Persistent, Needs: []spec.Feature{spec.Disruption, spec.NodeAccess},
	Tags: []string{"restart", disruptive}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-07", e.Manifest(spec.Persistent))
	p := pod(ctx, e, d)
	items := stock("kept")
	storeIn(ctx, e, p, items)
	scaleDown(ctx, e, d)()

	restartDriver(ctx, e, p.Spec.NodeName)
	e.Step("cordon the node of the volume")
	uncordon := cordon(ctx, e, p.Spec.NodeName)
	e.NoError(d.SetReplicas(ctx, 1), "scale %s to 1", d.Name)
	expectUnschedulable(ctx, e, d, "RST-07")
	e.NoError(uncordon(ctx), "uncordon node %s", p.Spec.NodeName)
	e.Require("RST-07", "the pod starts once its node accepts pods again", workload(d), d.Ready(ctx), framework.Succeed)
	q := pod(ctx, e, d)
	name := framework.Name("pod", q)
	e.Expect("RST-07", "the pod runs on the node of its volume", name, q.Spec.NodeName, gomega.Equal(p.Spec.NodeName))
	served := servedBy(ctx, e, q, items)
	e.Expect("RST-07", "after its node was cordoned and uncordoned, items are served", name, served, gomega.Equal(all(items)))
	e.Expect("RST-63", "after a restart of the driver while memcached was down, items are served", name, served, gomega.Equal(all(items)))
})

// cordon keeps pods from a node until the function that it returns is called,
// or the spec ends.
func cordon(ctx context.Context, e *framework.Env, node string) (uncordon func(context.Context) error) {
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
	return uncordon
}

// expectUnschedulable examines that the pod says that it has no node.
func expectUnschedulable(ctx context.Context, e *framework.Env, d *deploy.Deployment, req spec.ReqID) {
	var why string
	_, err := awaitPods(ctx, e, d, wait.PodReplaced, "the scheduler to tell why it finds no node for the pod of "+workload(d), func(pods []corev1.Pod) bool {
		if len(pods) == 0 {
			return false
		}
		if node := pods[0].Spec.NodeName; node != "" {
			why = "it is on node " + node
			return true
		}
		for _, c := range pods[0].Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
				why = fmt.Sprintf("%s: %s: %s", pods[0].Status.Phase, c.Reason, c.Message)
				return true
			}
		}
		return false
	})
	e.Require(req, "while its node is cordoned the pod has no node", workload(d), err, framework.Succeed)
	e.Expect(req, "while its node is cordoned the pod is Pending and says why", workload(d), why,
		gomega.And(gomega.HavePrefix("Pending: Unschedulable: "), gomega.ContainSubstring("unschedulable")))
}

var _ = framework.It(spec.Spec{
	ID: "RST-64", Title: "the cache outlasts a reboot, and a power cut leads to an empty one",
	Covers: []spec.ReqID{"RST-15", "RST-64"},
	Level:  spec.Must, Profile: spec.Persistent, Needs: []spec.Feature{spec.Disruption, spec.NodePower},
	Tags: []string{"restart", disruptive}, Budget: 15 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-64", e.Manifest(spec.Persistent))
	p := pod(ctx, e, d)
	node := &support.Node{Name: p.Spec.NodeName}
	before, crashed := stock("before"), stock("crashed")
	storeIn(ctx, e, p, before)
	scaleDown(ctx, e, d)

	e.Step("reboot node %s", node.Name)
	on := func(ctx context.Context) error { return e.Cluster.Power.StartNode(ctx, node) }
	e.Ledger.Add("power of node "+node.Name, on)
	e.NoError(e.Cluster.Power.StopNode(ctx, node), "shut node %s down", node.Name)
	e.NoError(on(ctx), "start node %s", node.Name)
	scaleUp(ctx, e, d)
	p = pod(ctx, e, d)
	name := framework.Name("pod", p)
	e.Expect("RST-64", "after a reboot of the node, items are served", name, servedBy(ctx, e, p, before), gomega.Equal(all(before)))
	storeIn(ctx, e, p, crashed)

	e.Step("cut the power of node %s", node.Name)
	e.NoError(e.Cluster.Power.StopNode(ctx, node, "cut"), "cut the power of node %s", node.Name)
	e.NoError(on(ctx), "start node %s", node.Name)
	expectServesAgain(ctx, e, d, p)
	p = pod(ctx, e, d)
	name = framework.Name("pod", p)
	e.Expect("RST-15", "after a power cut, items stored before it are served", name, servedBy(ctx, e, p, append(before, crashed...)), gomega.Equal(none(append(before, crashed...))))
	storeIn(ctx, e, p, before)
	e.Expect("RST-15", "after a power cut, items stored since are served", name, servedBy(ctx, e, p, before), gomega.Equal(all(before)))
})

// expectServesAgain waits for another container in the place of that of p, which
// the power cut has ended. Until the driver is there again, mounts fail and are
// tried again, which is no reason to stop waiting.
func expectServesAgain(ctx context.Context, e *framework.Env, d *deploy.Deployment, p *corev1.Pod) {
	ended := memcachedStatus(p).ContainerID
	pods, err := awaitPods(ctx, e, d, wait.DeploymentReady, "a Ready pod of "+workload(d)+" in another container", func(pods []corev1.Pod) bool {
		return len(pods) == 1 && podutils.IsPodReady(&pods[0]) && memcachedStatus(&pods[0]).ContainerID != ended
	})
	if err == nil {
		err = deploy.AwaitAnswer(ctx, e.Cluster, e.Waiter, &pods[0])
	}
	e.Require("RST-15", "after a power cut of the node the deployment is ready", workload(d), err, framework.Succeed)
}
