package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/placement"
	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
)

// expectFreed removes the claim and examines that its volume follows.
func expectFreed(ctx context.Context, e *framework.Env, d *deploy.Deployment, claim *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) {
	e.Expect("OBJ-05", "the claim can be removed", framework.Name("claim", claim), storage.RemoveClaim(ctx, e, claim), framework.Succeed)
	err := storage.AwaitVolumeGone(ctx, e, pv)
	e.Expect("OBJ-05", "the volume goes with its claim", framework.Name("volume", pv), err, framework.Succeed)
	e.NoError(d.DeleteClaims(ctx), "remove what is left of %s", d.Dir)
}

var _ = framework.It(spec.Spec{
	ID: "RST-01", Title: "the cache survives scale 1, 0, 1 and the removal of the workload, and goes with its claim",
	Covers: []spec.ReqID{"RST-01", "RST-02", "RST-04", "RST-05", "RST-06", "RST-08", "RST-10", "RST-12", "RST-13", "RST-37",
		"EPH-03", "OBJ-03", "OBJ-04", "OBJ-05"},
	Level: spec.Must, Profile: spec.Persistent, Needs: []spec.Feature{spec.DAX, spec.NodeAccess},
	Tags: []string{"restart"}, Budget: 12 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	m := separateClaims(ctx, e, e.Manifest(spec.Persistent))
	d := e.Deploy(ctx, "RST-01", m)
	p := workload.Pod(ctx, e, d)
	claim, pv := expectClaim(ctx, e, d, p)
	c := cache.Inspect(ctx, e, "RST-01", p)
	nd, dev := placement.ExpectPMEM(ctx, e, "EPH-03", c, workload.RequestedSize(d))
	e.Expect("RST-12", "the user has room for the state file (bytes)", c.Name, c.Fs.Available, gomega.BeNumerically(">=", c.Fs.BlockSize))

	items := fill(ctx, e, p)
	downLongEnough := workload.ScaleDown(ctx, e, d)
	expectStateFile(ctx, e, c, claim)
	downLongEnough()
	workload.ScaleUp(ctx, e, d)

	p2 := workload.Pod(ctx, e, d)
	expectSamePlace(ctx, e, d, p, p2, claim, pv)
	expectWarm(ctx, e, warm{values: "RST-01", flags: "RST-37", counters: "RST-02"}, p2, items)
	left, err := pmem.Exists(ctx, e.Cluster, p2.Namespace, p2.Name, deploy.Container, c.File.Path+cache.StateSuffix)
	e.NoError(err, "look for the state file")
	e.Expect("RST-13", "the state file is gone while memcached runs", framework.Name("pod", p2), left, gomega.BeFalse())

	e.Step("delete the workload, keep the claim")
	e.NoError(d.Delete(ctx), "delete %s", d.Dir)
	downLongEnough = workload.AwaitDowntime(ctx, e)
	kept := getClaim(ctx, e, claim)
	e.Expect("OBJ-03", "the claim outlives the workload", framework.Name("claim", claim), kept.UID, gomega.Equal(claim.UID))
	e.Expect("OBJ-03", "the claim stays bound", framework.Name("claim", claim), kept.Status.Phase, gomega.Equal(corev1.ClaimBound))
	downLongEnough()
	again := e.Deploy(ctx, "OBJ-04", m)
	expectWarm(ctx, e, warm{values: "OBJ-04", flags: "OBJ-04", counters: "OBJ-04"}, workload.Pod(ctx, e, again), items)

	e.Step("delete workload and claim")
	e.NoError(again.Delete(ctx), "delete %s", again.Dir)
	expectFreed(ctx, e, again, claim, pv)
	placement.AwaitFreed(ctx, e, "OBJ-05", nd, dev, c.Mount)
})

// separateClaims applies the claims that are objects of the manifest and
// returns the rest, so that they outlive the workload as those made from a
// template do.
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

// expectClaim examines the claim and its volume against the manifest.
func expectClaim(ctx context.Context, e *framework.Env, d *deploy.Deployment, p *corev1.Pod) (*corev1.PersistentVolumeClaim, *corev1.PersistentVolume) {
	want, err := d.Volume()
	e.NoError(err, "find the volume in %s", d.Dir)
	claims, err := d.Claims(ctx)
	e.NoError(err, "list the claims of %s", d.Dir)
	e.Require("RST-04", "the pod has one claim", framework.Name("pod", p), len(claims), gomega.Equal(1))
	claim := &claims[0]
	name := framework.Name("claim", claim)
	e.Require("RST-04", "the claim is bound", name, claim.Status.Phase, gomega.Equal(corev1.ClaimBound))
	e.Expect("RST-04", "one node may write to the volume (access modes)", name,
		slices.Contains(claim.Status.AccessModes, corev1.ReadWriteOnce) || slices.Contains(claim.Status.AccessModes, corev1.ReadWriteOncePod), gomega.BeTrue())
	capacity := claim.Status.Capacity[corev1.ResourceStorage]
	e.Expect("RST-04", "the volume is at least as large as requested (bytes)", name, capacity.Value(), gomega.BeNumerically(">=", want.Size.Value()))
	class := ""
	if claim.Spec.StorageClassName != nil {
		class = *claim.Spec.StorageClassName
	}
	if want.Class != "" {
		e.Expect("RST-04", "the claim has the storage class of the manifest", name, class, gomega.Equal(want.Class))
	}

	pv, err := e.Cluster.Client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	e.NoError(err, "get the volume of %s", name)
	sc, err := e.Cluster.Client.StorageV1().StorageClasses().Get(ctx, class, metav1.GetOptions{})
	e.NoError(err, "get storage class %s of %s", class, name)
	driver := ""
	if pv.Spec.CSI != nil {
		driver = pv.Spec.CSI.Driver
	}
	e.Expect("RST-04", "the volume is one of the class's driver", framework.Name("volume", pv), driver, gomega.Equal(sc.Provisioner))
	e.Expect("RST-06", "the volume is tied to a node by its affinity", framework.Name("volume", pv),
		pv.Spec.NodeAffinity != nil && pv.Spec.NodeAffinity.Required != nil, gomega.BeTrue())
	return claim, pv
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

// expectStateFile looks at the volume with a pod of its own while memcached is
// down.
func expectStateFile(ctx context.Context, e *framework.Env, c cache.Cache, claim *corev1.PersistentVolumeClaim) {
	e.Step("look at the state file while memcached is down")
	state := c.File.Path + cache.StateSuffix
	helper := e.RunPod(ctx, onClaim(c, claim))
	defer e.RemovePod(ctx, helper)
	name := framework.Name("claim", claim)

	there, err := pmem.Exists(ctx, e.Cluster, helper.Namespace, helper.Name, deploy.Container, state)
	e.NoError(err, "look for %s", state)
	if !e.Expect("RST-08", "the stop made memcached save its state (state file "+state+" exists)", name, there, gomega.BeTrue()) {
		return
	}
	result, err := e.Cluster.Exec(ctx, helper.Namespace, helper.Name, deploy.Container, "cat", state)
	e.NoError(err, "read %s", state)
	e.Expect("RST-10", "the state file can be read by memcached's user ("+result.Stderr+")", name, result.ExitCode, gomega.BeZero())
	e.Expect("RST-10", "the state file begins with Tmain", name, result.Stdout, gomega.HavePrefix("Tmain\n"))
	e.Expect("RST-10", "the state file ends with a newline", name, result.Stdout, gomega.HaveSuffix("\n"))
	facts, err := pmem.StatMemoryFile(ctx, e.Cluster, helper.Namespace, helper.Name, deploy.Container, state)
	e.NoError(err, "look at %s", state)
	e.Expect("RST-10", "the state file is of memcached's user alone (mode)", name, fmt.Sprintf("%04o", facts.Mode), gomega.Equal("0600"))
	e.Expect("RST-10", "the state file is of memcached's user alone (user id)", name, facts.UID, gomega.Equal(c.Process.UID))
}

// onClaim is a pod with memcached's identity that does nothing with the
// claim.
func onClaim(c cache.Cache, claim *corev1.PersistentVolumeClaim) *corev1.Pod {
	no, grace := false, int64(1)
	container := corev1.Container{
		Name: deploy.Container, Image: cache.Image(c.Pod), Command: []string{"sleep", "3600"},
		VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: c.Mount.Path}},
	}
	for _, from := range c.Pod.Spec.Containers {
		if from.Name == deploy.Container {
			container.SecurityContext = from.SecurityContext
		}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "state-", Namespace: claim.Namespace},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: &no,
			TerminationGracePeriodSeconds: &grace, SecurityContext: c.Pod.Spec.SecurityContext,
			Containers: []corev1.Container{container},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name},
			}}},
		},
	}
}

func expectSamePlace(ctx context.Context, e *framework.Env, d *deploy.Deployment, before, after *corev1.Pod, claim *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) {
	name := framework.Name("pod", after)
	e.Expect("RST-01", "the pod is a new one", name, after.UID, gomega.Not(gomega.Equal(before.UID)))
	e.Expect("RST-06", "the new pod runs on the node of the volume", name, after.Spec.NodeName, gomega.Equal(before.Spec.NodeName))
	claims, err := d.Claims(ctx)
	e.NoError(err, "list the claims of %s", d.Dir)
	e.Require("RST-05", "the new pod has one claim", name, len(claims), gomega.Equal(1))
	e.Expect("RST-05", "the claim is the same", framework.Name("claim", claim), claims[0].UID, gomega.Equal(claim.UID))
	same, err := e.Cluster.Client.CoreV1().PersistentVolumes().Get(ctx, claims[0].Spec.VolumeName, metav1.GetOptions{})
	e.NoError(err, "get the volume of %s", framework.Name("claim", claim))
	e.Expect("RST-05", "the volume is the same", framework.Name("volume", pv), same.UID, gomega.Equal(pv.UID))
}

// warm names the requirements behind the parts of a warm start.
type warm struct{ values, flags, counters spec.ReqID }

// expectWarm asks the counters first: a set by anybody would show there.
func expectWarm(ctx context.Context, e *framework.Env, req warm, p *corev1.Pod, items []memcached.Item) {
	e.Step("expect every item after the restart")
	name := framework.Name("pod", p)
	client := cache.Connect(ctx, e, p)
	defer client.Close()
	general := cache.Stats(ctx, e, client, "")
	e.Expect(req.counters, "memcached recovered the items (curr_items)", name, general["curr_items"], gomega.Equal(fmt.Sprint(len(items))))
	e.Expect(req.counters, "nobody has stored anything since the start (cmd_set)", name, general["cmd_set"], gomega.Equal("0"))
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
	all := share(len(items), nil)
	e.Expect(req.values, "every key has its value", name, share(len(items), wrong), gomega.Equal(all))
	e.Expect(req.flags, "every key has its flags", name, share(len(items), flags), gomega.Equal(all))
}

// share says how many of all keys are well, and names some that are not.
func share(all int, wrong []string) string {
	text := fmt.Sprintf("%d of %d keys", all-len(wrong), all)
	if len(wrong) > 0 {
		text += ": " + strings.Join(wrong[:min(len(wrong), 3)], ", ")
	}
	return text
}

func getClaim(ctx context.Context, e *framework.Env, claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	got, err := e.Cluster.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).Get(ctx, claim.Name, metav1.GetOptions{})
	e.Require("OBJ-03", "the claim is there without the workload", framework.Name("claim", claim), err, framework.Succeed)
	return got
}
