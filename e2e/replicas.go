package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/util/podutils"
	"k8s.io/utils/ptr"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "EPH-18", Title: "two replicas have two volumes and two caches, and one that is stopped in place ends fast and starts empty",
	Covers: []spec.ReqID{"EPH-18", "EPH-16", "EPH-17", "DRV-20", "OPS-06"},
	Level:  spec.Must, Profile: spec.Ephemeral, Needs: []spec.Feature{spec.InlineVolume},
	Tags: []string{"replicas", "restart"}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "EPH-18", e.Variant(spec.Ephemeral, deploy.Changes{Namespace: e.Namespace, OneNode: true}))
	e.Step("scale to 2")
	e.Require("EPH-18", "two replicas become ready", workload.Name(d), d.Scale(ctx, 2), framework.Succeed)
	pods, err := d.Pods(ctx)
	e.NoError(err, "list the pods of %s", d.Dir)
	var caches []cache.Cache
	for i := range pods {
		if podutils.IsPodReady(&pods[i]) {
			caches = append(caches, cache.Inspect(ctx, e, "EPH-18", &pods[i]))
		}
	}
	e.Require("EPH-18", "two pods are Ready", d.Dir, len(caches), gomega.Equal(2))
	first, second := caches[0], caches[1]
	expectTwoDevices(e, first, second)
	expectSeparate(ctx, e, first, second)
	expectFastStop(ctx, e, first)
	expectSavedNothing(ctx, e, first)
	now, err := e.Cluster.Client.CoreV1().Pods(second.Pod.Namespace).Get(ctx, second.Pod.Name, metav1.GetOptions{})
	e.NoError(err, "read %s", second.Name)
	e.Expect("EPH-18", "the other replica did not restart", second.Name, cache.Restarts(now), gomega.Equal(cache.Restarts(second.Pod)))
	cache.ExpectKey(ctx, e, "EPH-18", "the other replica still has its key", now, ownKey, second.Name)
	expectFastDeletion(ctx, e, second)
})

// expectTwoDevices compares two pods of a deployment whose pods have to be on one node.
func expectTwoDevices(e *framework.Env, first, second cache.Cache) {
	if one, other := first.Pod.Spec.NodeName, second.Pod.Spec.NodeName; one != other {
		e.NoError(fmt.Errorf("they are on %s and %s", one, other), "examine %s and %s on one node", first.Name, second.Name)
	}
	on := func(c cache.Cache) string { return "device " + c.Mount.Number + " on node " + c.Pod.Spec.NodeName }
	e.Expect("DRV-20", "two pods on one node have two devices", first.Name+" and "+second.Name, on(second), gomega.Not(gomega.Equal(on(first))))
}

// ownKey is stored in both replicas, with the name of each as its value.
const ownKey = "whose"

// expectSeparate stores the same key in two replicas and another in one only.
func expectSeparate(ctx context.Context, e *framework.Env, first, second cache.Cache) {
	for _, c := range []cache.Cache{first, second} {
		client := cache.Connect(ctx, e, c.Pod)
		e.NoError(client.Set(ctx, &memcached.Item{Key: ownKey, Value: []byte(c.Name)}), "store a value in %s", c.Name)
		client.Close()
	}
	for _, c := range []cache.Cache{first, second} {
		cache.ExpectKey(ctx, e, "EPH-18", "a replica serves what was stored in it", c.Pod, ownKey, c.Name)
	}
	client := cache.Connect(ctx, e, first.Pod)
	defer client.Close()
	e.NoError(client.Set(ctx, &memcached.Item{Key: "first", Value: []byte("1")}), "store a value in %s", first.Name)
	cache.ExpectKey(ctx, e, "EPH-18", "what was stored in one replica is a miss in the other", second.Pod, "first", cache.Miss)
}

// quick is the most that the stop of an ephemeral pod may take at wait scale 1. Without anything to save it takes a second.
const quick = 15 * time.Second

// expectFastDeletion deletes a pod, whose hooks run before SIGTERM is sent, and times its end.
func expectFastDeletion(ctx context.Context, e *framework.Env, c cache.Cache) {
	grace := graceOf(c.Pod)
	limit := time.Duration(float64(quick) * e.Config.WaitScale.Max())
	e.Step("delete a pod")
	took, err := workload.TimeStop(ctx, e, c.Pod, quick)
	e.NoError(err, "delete %s", c.Name)
	name := fmt.Sprintf("%s, grace period %s", c.Name, grace)
	e.Expect("EPH-16", "after the deletion of a pod its container ends within 15 s, hooks included (seconds)", name, took.Seconds(), gomega.BeNumerically("<=", limit.Seconds()))
	e.Expect("OPS-06", "the grace period is twice the time from the deletion of a pod to the end of its container, or more (seconds)", name, grace.Seconds(), gomega.BeNumerically(">=", 2*took.Seconds()))
}

func graceOf(p *corev1.Pod) time.Duration {
	return time.Duration(ptr.Deref(p.Spec.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)) * time.Second
}

// stillThere is printed by a command that outlives the container's first
// process, with which the kernel ends all others.
const stillThere = "still there"

// expectFastStop sends SIGTERM to the first process of the container, as the
// kubelet does.
func expectFastStop(ctx context.Context, e *framework.Env, c cache.Cache) {
	grace := graceOf(c.Pod)
	limit := max(int64(min(grace/2, quick).Seconds()), 1)
	e.Step("stop memcached in its container, and watch for %d s", limit)
	result, err := e.Cluster.Exec(ctx, c.Pod.Namespace, c.Pod.Name, deploy.Container, "sh", "-c",
		fmt.Sprintf("%s && sleep %d && echo %q", workload.SignalScript, limit, stillThere), "sh", "TERM", "top")
	if err != nil {
		e.Note("stop", "%s", err) // the connection may go with the container
	}
	name := fmt.Sprintf("%s, grace period %s", c.Name, grace)
	if limit >= int64((grace / 2).Seconds()) { // else a stop that takes longer can still be over within half of the grace period
		e.Expect("OPS-06", "the grace period is twice the time that the stop takes, or more", name, result.Stdout, gomega.Not(gomega.ContainSubstring(stillThere)))
	}
	e.Require("EPH-16", "SIGTERM ends the container within half of its grace period, and within 15 s", name, result.Stdout, gomega.Not(gomega.ContainSubstring(stillThere)))
}

// expectSavedNothing expects the container to restart with an empty cache, without
// a state file of the earlier one.
func expectSavedNothing(ctx context.Context, e *framework.Env, c cache.Cache) {
	p, err := workload.AwaitRestart(ctx, e, c.Pod)
	e.Require("EPH-17", "memcached is Ready again in its pod after a graceful shutdown", c.Name, err, framework.Succeed)
	e.Expect("EPH-16", "the container was not killed (exit code)", c.Name, cache.LastExit(p), gomega.Not(gomega.Equal(cache.Killed)))
	again := cache.Inspect(ctx, e, "EPH-17", p)
	e.Expect("EPH-17", "the volume is the same", c.Name, again.Mount.Device, gomega.Equal(c.Mount.Device))
	client := cache.Connect(ctx, e, p)
	e.Expect("EPH-17", "the cache is empty (curr_items)", c.Name, cache.Stats(ctx, e, client, "")["curr_items"], gomega.Equal("0"))
	e.Expect("EPH-17", "memcached found no state file when it started", c.Name, cache.RestartLog(ctx, e, p), gomega.ContainSubstring("no metadata save file"))
	e.Expect("EPH-17", "memcached saved no state file", c.Name, cache.StateFile(ctx, e, p, again.File.Path), gomega.Equal(cache.Absent))
}
