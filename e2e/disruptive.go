package e2e

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubectl/pkg/util/podutils"
	"sigs.k8s.io/e2e-framework/support"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/disrupt"
	"pmem-memcached-e2e/e2e/internal/stock"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

var _ = framework.It(spec.Spec{
	ID: "RST-07", Title: "the cache survives a cordoned node and a restart of the driver",
	Covers: []spec.ReqID{"RST-07", "RST-63"},
	Level:  spec.Must, Profile: spec.Persistent, Needs: []spec.Feature{spec.Disruption, spec.NodeAccess},
	Tags: []string{"restart", disrupt.Tag}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-07", e.Manifest(spec.Persistent))
	p := workload.Pod(ctx, e, d)
	items := stock.Of("kept")
	stock.StoreIn(ctx, e, p, items)
	workload.ScaleDown(ctx, e, d)()

	disrupt.RestartDriver(ctx, e, p.Spec.NodeName)
	e.Step("cordon the node of the volume")
	uncordon := disrupt.Cordon(ctx, e, d, p.Spec.NodeName)
	e.NoError(d.SetReplicas(ctx, 1), "scale %s to 1", d.Name)
	disrupt.ExpectUnschedulable(ctx, e, d, "RST-07")
	e.NoError(uncordon(ctx), "uncordon node %s", p.Spec.NodeName)
	e.Require("RST-07", "the pod starts once its node accepts pods again", workload.Name(d), d.Ready(ctx), framework.Succeed)
	q := workload.Pod(ctx, e, d)
	name := framework.Name("pod", q)
	e.Expect("RST-07", "the pod runs on the node of its volume", name, q.Spec.NodeName, gomega.Equal(p.Spec.NodeName))
	served := stock.ServedBy(ctx, e, q, items)
	e.Expect("RST-07", "after its node was cordoned and uncordoned, every item is served", name, served, stock.All())
	e.Expect("RST-63", "after a restart of the driver while memcached was down, every item is served", name, served, stock.All())
})

var _ = framework.It(spec.Spec{
	ID: "RST-64", Title: "the cache survives a reboot, and a power cut leads to an empty one",
	Covers: []spec.ReqID{"RST-15", "RST-64"},
	Level:  spec.Must, Profile: spec.Persistent, Needs: []spec.Feature{spec.Disruption, spec.NodePower},
	Tags: []string{"restart", disrupt.Tag}, Budget: 15 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-64", e.Manifest(spec.Persistent))
	p := workload.Pod(ctx, e, d)
	node := &support.Node{Name: p.Spec.NodeName}
	before, crashed := stock.Of("before"), stock.Of("crashed")
	stock.StoreIn(ctx, e, p, before)
	grace := disrupt.ShutdownGrace(ctx, e, p)
	if grace > 0 {
		e.Note("reboot", "the pod ran when its node was shut down; the kubelet gives pods of its priority %s to end", grace)
	} else {
		e.Note("reboot", "the pod was stopped before the node, as kubectl drain does: the kubelet has no shutdownGracePeriod for pods of its priority")
		workload.ScaleDown(ctx, e, d)
	}

	e.Step("reboot node %s", node.Name)
	if e.Cluster.Power == nil {
		e.NoError(errors.New("nothing switches nodes"), "find what switches the nodes of this cluster")
	}
	on := func(ctx context.Context) error { return e.Cluster.Power.StartNode(ctx, node) }
	e.Ledger.Add("power of node "+node.Name, on)
	e.NoError(e.Cluster.Power.StopNode(ctx, node), "shut node %s down", node.Name)
	e.NoError(on(ctx), "start node %s", node.Name)
	if grace == 0 {
		e.Step("scale to 1")
		e.NoError(d.SetReplicas(ctx, 1), "scale %s to 1", workload.Name(d))
	}
	e.Require("RST-64", "after a reboot of its node the deployment is ready", workload.Name(d), awaitServesAgain(ctx, e, d, p), framework.Succeed)
	q := workload.Pod(ctx, e, d)
	if q.UID == p.UID {
		e.Note("reboot", "the pod had not ended when its node shut down, although the kubelet is configured to wait %s: after the reboot it is the same pod, whose container %s", grace, cache.LastEnd(q))
	}
	p = q
	name := framework.Name("pod", p)
	e.Expect("RST-64", "after a reboot of the node, every item is served", name, stock.ServedBy(ctx, e, p, before), stock.All())
	stock.StoreIn(ctx, e, p, crashed)

	e.Step("cut the power of node %s", node.Name)
	e.NoError(e.Cluster.Power.StopNode(ctx, node, "cut"), "cut the power of node %s", node.Name)
	e.NoError(on(ctx), "start node %s", node.Name)
	e.Require("RST-15", "after a power cut of the node the deployment is ready", workload.Name(d), awaitServesAgain(ctx, e, d, p), framework.Succeed)
	p = workload.Pod(ctx, e, d)
	name = framework.Name("pod", p)
	e.Note("power cut", "the container before %s", cache.LastEnd(p))
	e.Expect("RST-15", "after a power cut, no item stored before it is served", name, stock.ServedBy(ctx, e, p, append(before, crashed...)), stock.None())
	stock.StoreIn(ctx, e, p, before)
	e.Expect("RST-15", "after a power cut, items stored since are served", name, stock.ServedBy(ctx, e, p, before), stock.All())
})

// awaitServesAgain waits for another container in place of that of p, which has ended with its node. Until the driver is
// Ready again mounts fail and are retried, which does not end the wait. A pod that the kubelet ended before the node shut
// down is Failed, and one of a ReplicaSet stays.
func awaitServesAgain(ctx context.Context, e *framework.Env, d *deploy.Deployment, p *corev1.Pod) error {
	ended := cache.Status(p).ContainerID
	var running []corev1.Pod
	_, err := workload.AwaitPods(ctx, e, d, wait.DeploymentReady, "a Ready pod of "+workload.Name(d)+" in another container", func(pods []corev1.Pod) bool {
		running = slices.DeleteFunc(pods, func(p corev1.Pod) bool {
			return p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
		})
		return len(running) == 1 && podutils.IsPodReady(&running[0]) && cache.Status(&running[0]).ContainerID != ended
	})
	if err != nil {
		return err
	}
	return deploy.AwaitAnswer(ctx, e.Cluster, e.Waiter, &running[0])
}
