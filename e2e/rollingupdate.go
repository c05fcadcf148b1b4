package e2e

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/disrupt"
	"pmem-memcached-e2e/e2e/internal/events"
	"pmem-memcached-e2e/e2e/internal/idle"
	"pmem-memcached-e2e/e2e/internal/placement"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// noRoom is PMEM-CSI's error when memory is used up, pkg/pmem-device-manager of
// v1.1.0.
const noRoom = "not enough space"

var _ = framework.It(spec.Spec{
	ID: "EPH-20", Title: "an update that finds no persistent memory reports it and continues to serve, and completes with an empty cache once memory is free",
	Covers: []spec.ReqID{"EPH-19", "EPH-20"},
	Level:  spec.Must, Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume, spec.NodeAccess, spec.Disruption},
	Tags: []string{"capacity", disrupt.Tag}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "EPH-19", e.Manifest(spec.Ephemeral))
	before := workload.Pod(ctx, e, d)
	value := cache.Marker()
	client := cache.Connect(ctx, e, before)
	e.NoError(client.Set(ctx, &memcached.Item{Key: "old", Value: []byte(value)}), "store a value")
	client.Close()

	fillers := useUp(ctx, e, d)
	e.Step("change the pod template")
	workload.Patch(ctx, e, d, fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"pmem-memcached-e2e/changed":%q}}}}}`, cache.Marker()))
	stuck := expectNoRoom(ctx, e, d, before)
	cache.ExpectKey(ctx, e, "EPH-19", "the old pod continues to serve", before, "old", value)

	e.Step("free persistent memory")
	for _, f := range fillers {
		e.RemovePod(ctx, f)
	}
	e.Require("EPH-20", "once persistent memory is free the pod starts and the update completes", framework.Name("pod", stuck), d.Ready(ctx), framework.Succeed)
	after := workload.Pod(ctx, e, d)
	name := framework.Name("pod", after)
	e.Expect("EPH-20", "the new pod is the one that had to wait", name, after.UID, gomega.Equal(stuck.UID))
	e.Expect("EPH-19", "the old pod is replaced", name, after.UID, gomega.Not(gomega.Equal(before.UID)))
	c := cache.Inspect(ctx, e, "EPH-20", after)
	nd, err := pmem.FindNodeDriver(ctx, e.Cluster, after.Spec.NodeName)
	e.NoError(err, "find the driver on node %s", after.Spec.NodeName)
	dev, _, err := placement.Backing(ctx, nd, c.Mount)
	e.NoError(err, "look at the persistent memory of node %s", nd.Node)
	e.Expect("EPH-20", "the volume of the new pod is no smaller than requested (bytes)", name, dev.Size, gomega.BeNumerically(">=", workload.RequestedSize(d)))
	client = cache.Connect(ctx, e, after)
	e.Expect("EPH-19", "the cache is empty (curr_items)", name, cache.Stats(ctx, e, client, "")["curr_items"], gomega.Equal("0"))
	e.Expect("EPH-19", "a key from before the update is a miss", name, cache.Lookup(ctx, e, client, "old"), gomega.Equal(cache.Miss))
})

// useUp runs a pod on every node that takes its persistent memory, except for half
// of what another pod of the deployment needs.
func useUp(ctx context.Context, e *framework.Env, d *deploy.Deployment) []*corev1.Pod {
	e.Step("use up persistent memory")
	drivers, _, err := pmem.FindNodeDrivers(ctx, e.Cluster)
	e.NoError(err, "find the nodes with the driver")
	var fillers []*corev1.Pod
	for _, nd := range drivers {
		free, err := nd.Free(ctx)
		e.NoError(err, "look at the persistent memory of node %s", nd.Node)
		size := free - workload.RequestedSize(d)/2
		e.Note("free on "+nd.Node, "%d MiB, of which %d MiB are used up", free/cache.MiB, size/cache.MiB)
		volume := idle.InlineVolume(nd.Name, "", map[string]string{
			"size": resource.NewQuantity(size/cache.MiB*cache.MiB, resource.BinarySI).String(), "eraseafter": "false",
		})
		filler := idle.Pod(ctx, e, d.Manifest, "filler-", volume)
		filler.Spec.NodeName = nd.Node
		fillers = append(fillers, e.RunPod(ctx, filler))
	}
	return fillers
}

// expectNoRoom expects that the new pod does not start without persistent memory
// and that an event reports why, while the old one is Ready.
func expectNoRoom(ctx context.Context, e *framework.Env, d *deploy.Deployment, old *corev1.Pod) *corev1.Pod {
	object := workload.Name(d)
	isNew := func(p corev1.Pod) bool { return p.UID != old.UID }
	pods, err := workload.AwaitPods(ctx, e, d, wait.PodRuns, "a second pod of "+object, func(pods []corev1.Pod) bool {
		return slices.ContainsFunc(pods, func(p corev1.Pod) bool { return isNew(p) && p.Spec.NodeName != "" })
	})
	e.Require("EPH-19", "an update makes a pod in addition to the old one", object, err, framework.Succeed)
	stuck := &pods[slices.IndexFunc(pods, isNew)]
	name := framework.Name("pod", stuck)
	event, err := events.AwaitWarning(ctx, e, "pod", stuck, "FailedMount", noRoom)
	e.Expect("EPH-20", "an event reports the lack of persistent memory", name, err, framework.Succeed)
	e.Expect("EPH-19", "an update that finds no persistent memory reports it", name, err, framework.Succeed)
	e.Note("refusal", "%s", event)
	pods, err = d.Pods(ctx)
	e.NoError(err, "list the pods of %s", object)
	for _, p := range pods {
		if isNew(p) {
			e.Expect("EPH-20", "the pod does not start without its volume", name, p.Status.Phase, gomega.Equal(corev1.PodPending))
		} else {
			e.Expect("EPH-19", "the old pod stays Ready", framework.Name("pod", &p), workload.Readiness(&p), gomega.Equal(workload.Ready))
		}
	}
	return stuck
}
