package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/placement"
	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/probe"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "RST-01", Title: "the cache survives scale 1, 0, 1, on the same persistent memory",
	Covers: []spec.ReqID{"RST-01", "RST-02", "RST-05", "RST-06", "RST-37", "EPH-03", "EPH-10", "EPH-11"},
	Level:  spec.Must, Profile: spec.Persistent, Needs: []spec.Feature{spec.DAX, spec.NodeAccess},
	Tags: []string{"restart", spec.SmokeTag}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-01", e.Manifest(spec.Persistent))
	p := workload.Pod(ctx, e, d)
	claim, pv := boundClaim(ctx, e, "RST-05", d, p)
	e.Expect("RST-06", "the volume is tied to a node by its affinity", framework.Name("volume", pv), placedOn(ctx, e, pv), gomega.Equal([]string{p.Spec.NodeName}))
	c := cache.Inspect(ctx, e, "RST-01", p)
	placement.ExpectPMEM(ctx, e, "EPH-03", c, workload.RequestedSize(d))

	items := fill(ctx, e, p)
	expectInFile(ctx, e, c, string(items[0].Value))
	workload.ScaleDown(ctx, e, d)()
	workload.ScaleUp(ctx, e, "RST-01", d)

	again := workload.Pod(ctx, e, d)
	expectSamePlace(ctx, e, d, p, again, claim, pv)
	expectWarm(ctx, e, warm{values: "RST-01", flags: "RST-37", counters: "RST-02"}, again, items)
})

var _ = framework.It(spec.Spec{
	ID: "RST-08", Title: "a graceful shutdown saves a complete state file, which is gone once memcached has read it",
	Covers: []spec.ReqID{"RST-08", "RST-10", "RST-12", "RST-13"},
	Level:  spec.Must, Profile: spec.Persistent, Tags: []string{"restart"}, Budget: 6 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "RST-08", e.Manifest(spec.Persistent))
	p := workload.Pod(ctx, e, d)
	claim, _ := boundClaim(ctx, e, "RST-08", d, p)
	c := cache.Inspect(ctx, e, "RST-08", p)
	e.Expect("RST-12", "memcached's user has room for the state file (bytes)", c.Name, c.FS.Available, gomega.BeNumerically(">=", c.FS.BlockSize))

	fill(ctx, e, p)
	downLongEnough := workload.ScaleDown(ctx, e, d)
	expectStateFile(ctx, e, d, c, claim)
	downLongEnough()
	workload.ScaleUp(ctx, e, "RST-08", d)
	p = workload.Pod(ctx, e, d)
	e.Expect("RST-13", "the state file is gone while memcached runs", framework.Name("pod", p), cache.StateFile(ctx, e, p, c.File.Path), gomega.Equal(cache.Absent))
})

var _ = framework.It(spec.Spec{
	ID: "OBJ-03", Title: "the claim outlives its workload with the cache in it, and its volume is removed with it",
	Covers: []spec.ReqID{"RST-04", "OBJ-03", "OBJ-04", "OBJ-05"},
	Level:  spec.Must, Profile: spec.Persistent, Needs: []spec.Feature{spec.NodeAccess},
	Tags: []string{"restart"}, Budget: 8 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	m := separateClaims(ctx, e, e.Manifest(spec.Persistent))
	d := e.Apply(ctx, "RST-04", m)
	if err := d.Ready(ctx); err != nil {
		claim, pv := boundClaim(ctx, e, "RST-04", d, workload.FirstPod(ctx, e, d))
		expectClaim(ctx, e, d, claim, pv) // which may be why
		e.Presume("OBJ-03", "the deployment becomes ready", workload.Name(d), err, framework.Succeed)
	}
	e.Relies("OBJ-03", d)
	p := workload.Pod(ctx, e, d)
	claim, pv := boundClaim(ctx, e, "RST-04", d, p)
	expectClaim(ctx, e, d, claim, pv)
	nd, dev, mount := volumeOnNode(ctx, e, "RST-04", d, p)
	items := fill(ctx, e, p)

	e.Step("delete the workload, keep the claim")
	e.NoError(d.Delete(ctx), "delete %s", d.Dir)
	downLongEnough := workload.AwaitDowntime(ctx, e)
	e.Require("OBJ-03", "the claim outlives the workload", framework.Name("claim", claim), storage.ClaimState(ctx, e, claim), gomega.Equal(storage.Exists))
	e.Expect("OBJ-03", "the claim stays bound", framework.Name("claim", claim), storage.CurrentClaim(ctx, e, claim).Status.Phase, gomega.Equal(corev1.ClaimBound))
	downLongEnough()
	again := e.Deploy(ctx, "OBJ-04", m)
	expectWarm(ctx, e, warm{values: "OBJ-04", flags: "OBJ-04", counters: "OBJ-04"}, workload.Pod(ctx, e, again), items)

	e.Step("delete workload and claim")
	e.NoError(again.Delete(ctx), "delete %s", again.Dir)
	e.Expect("OBJ-05", "the claim can be removed", framework.Name("claim", claim), storage.RemoveClaim(ctx, e, claim), framework.Succeed)
	e.Expect("OBJ-05", "the volume is removed with its claim", framework.Name("volume", pv), storage.AwaitVolumeGone(ctx, e, pv), framework.Succeed)
	e.NoError(again.DeleteClaims(ctx), "remove what is left of %s", again.Dir)
	placement.AwaitFreed(ctx, e, "OBJ-05", nd, dev, mount)
})

// separateClaims applies the claims that are objects of the manifest and returns
// the rest, so that they outlive the workload like those made from a template.
func separateClaims(ctx context.Context, e *framework.Env, m *deploy.Manifest) *deploy.Manifest {
	rest := *m
	rest.Objects = nil
	for _, o := range m.Objects {
		if o.GetKind() != "PersistentVolumeClaim" {
			rest.Objects = append(rest.Objects, o)
			continue
		}
		o := o.DeepCopy()
		e.NoError(e.Cluster.Resources.Create(ctx, o), "make %s", framework.Name("claim", o))
		e.Ledger.Add(framework.Name("claim", o), func(ctx context.Context) error { return storage.RemoveClaim(ctx, e, o) })
	}
	return &rest
}

// boundClaim returns the claim for the memory file of a pod and its volume. The spec ends with req
// not met unless there is one and it is bound.
func boundClaim(ctx context.Context, e *framework.Env, req spec.ReqID, d *deploy.Deployment, p *corev1.Pod) (*corev1.PersistentVolumeClaim, *corev1.PersistentVolume) {
	claim := storage.OfMemoryFile(ctx, e, req, d, p)
	e.Require(req, "the claim is bound", framework.Name("claim", claim), claim.Status.Phase, gomega.Equal(corev1.ClaimBound))
	pv, err := e.Cluster.Client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	e.NoError(err, "get the volume of %s", framework.Name("claim", claim))
	return claim, pv
}

// expectClaim compares the claim and its volume with the manifest.
func expectClaim(ctx context.Context, e *framework.Env, d *deploy.Deployment, claim *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) {
	want, err := d.Volume()
	e.NoError(err, "find the volume in %s", d.Dir)
	name := framework.Name("claim", claim)
	e.Expect("RST-04", "one node may write to the volume (access modes)", name, claim.Status.AccessModes,
		gomega.ContainElement(gomega.BeElementOf(corev1.ReadWriteOnce, corev1.ReadWriteOncePod)))
	capacity := claim.Status.Capacity[corev1.ResourceStorage]
	e.Expect("RST-04", "the volume is at least as large as requested (bytes)", name, capacity.Value(), gomega.BeNumerically(">=", want.Size.Value()))
	class := ptr.Deref(claim.Spec.StorageClassName, "")
	if want.Class != "" {
		e.Expect("RST-04", "the claim has the storage class of the manifest", name, class, gomega.Equal(want.Class))
	}
	sc, err := e.Cluster.Client.StorageV1().StorageClasses().Get(ctx, class, metav1.GetOptions{})
	e.NoError(err, "get storage class %s of %s", class, name)
	driver := ""
	if pv.Spec.CSI != nil {
		driver = pv.Spec.CSI.Driver
	}
	e.Expect("RST-04", "the volume belongs to the driver of the class", framework.Name("volume", pv), driver, gomega.Equal(sc.Provisioner))
}

// fill stores some items with flags.
func fill(ctx context.Context, e *framework.Env, p *corev1.Pod) []memcached.Item {
	e.Step("store items")
	client := cache.Connect(ctx, e, p)
	defer client.Close()
	var items []memcached.Item
	for n := range 20 {
		item := memcached.Item{Key: fmt.Sprintf("survivor-%d", n), Value: []byte(cache.Marker()), Flags: uint32(7 + n)}
		e.NoError(client.Set(ctx, &item), "store %s", item.Key)
		items = append(items, item)
	}
	return items
}

// expectStateFile looks at the volume from another pod while memcached is down.
func expectStateFile(ctx context.Context, e *framework.Env, d *deploy.Deployment, c cache.Cache, claim *corev1.PersistentVolumeClaim) {
	e.Step("look at the state file while memcached is down")
	state := c.File.Path + cache.StateSuffix
	helper := e.RunPod(ctx, d.Stand(c.Pod, "state-", deploy.MemcachedContainer(c.Pod.Spec)))
	defer e.RemovePod(ctx, helper)
	name := framework.Name("claim", claim)

	if !e.Expect("RST-08", "the stop made memcached save its state (state file)", name, cache.StateFile(ctx, e, helper, c.File.Path), gomega.Equal(cache.Present)) {
		return
	}
	result, err := e.Cluster.Exec(ctx, helper.Namespace, helper.Name, deploy.Container, "cat", state)
	e.NoError(err, "read %s", state)
	e.Expect("RST-10", "memcached's user can read the state file", name, cache.Ended(result), gomega.Equal(cache.Success))
	e.Expect("RST-10", "the state file begins with Tmain", name, result.Stdout, gomega.HavePrefix("Tmain\n"))
	e.Expect("RST-10", "the state file ends with a newline", name, result.Stdout, gomega.HaveSuffix("\n"))
	facts, err := probe.StatMemoryFile(ctx, e.Cluster, helper.Namespace, helper.Name, deploy.Container, state)
	e.NoError(err, "look at %s", state)
	e.Expect("RST-10", "only memcached's user may read the state file (mode)", name, fmt.Sprintf("%04o", facts.Mode), gomega.Equal("0600"))
	e.Expect("RST-10", "the state file belongs to memcached's user (user id)", name, facts.UID, gomega.Equal(c.Process.UID))
}

func expectSamePlace(ctx context.Context, e *framework.Env, d *deploy.Deployment, before, after *corev1.Pod, claim *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) {
	name := framework.Name("pod", after)
	e.Expect("RST-01", "the pod is a new one", name, after.UID, gomega.Not(gomega.Equal(before.UID)))
	e.Expect("RST-06", "the new pod runs on the node of the volume", name, after.Spec.NodeName, gomega.Equal(before.Spec.NodeName))
	current := storage.OfMemoryFile(ctx, e, "RST-05", d, after)
	e.Expect("RST-05", "the claim is the same", framework.Name("claim", claim), current.UID, gomega.Equal(claim.UID))
	same, err := e.Cluster.Client.CoreV1().PersistentVolumes().Get(ctx, current.Spec.VolumeName, metav1.GetOptions{})
	e.NoError(err, "get the volume of %s", framework.Name("claim", claim))
	e.Expect("RST-05", "the volume is the same", framework.Name("volume", pv), same.UID, gomega.Equal(pv.UID))
}

// warm names the requirements behind the parts of a warm start.
type warm struct{ values, flags, counters spec.ReqID }

// expectWarm reads the counters first: a set by any client would show there.
func expectWarm(ctx context.Context, e *framework.Env, req warm, p *corev1.Pod, items []memcached.Item) {
	e.Step("expect every item after the restart")
	name := framework.Name("pod", p)
	client := cache.Connect(ctx, e, p)
	defer client.Close()
	general := cache.Stats(ctx, e, client, "")
	e.Expect(req.counters, "memcached recovered the items (curr_items)", name, general["curr_items"], gomega.Equal(fmt.Sprint(len(items))))
	e.Expect(req.counters, "no client has stored anything since the start (cmd_set)", name, general["cmd_set"], gomega.Equal("0"))
	keys := make([]string, len(items))
	for i, item := range items {
		keys[i] = item.Key
	}
	got, err := client.GetMulti(ctx, keys)
	e.NoError(err, "get %d keys", len(keys))
	var wrong, flags []string
	for _, item := range items {
		g := got[item.Key]
		switch {
		case g == nil:
			wrong = append(wrong, item.Key+" is a miss")
		case string(g.Value) != string(item.Value):
			wrong = append(wrong, fmt.Sprintf("%s is %q", item.Key, g.Value))
		case g.Flags != item.Flags:
			flags = append(flags, fmt.Sprintf("%s has flags %d, not %d", item.Key, g.Flags, item.Flags))
		}
	}
	e.Expect(req.values, "every key has its value", name, cache.Faults(wrong), gomega.BeEmpty())
	e.Expect(req.flags, "every key has its flags", name, cache.Faults(flags), gomega.BeEmpty())
}
