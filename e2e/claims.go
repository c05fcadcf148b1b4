package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"pmem-memcached-e2e/e2e/internal/events"
	"pmem-memcached-e2e/e2e/internal/idle"
	"pmem-memcached-e2e/e2e/internal/placement"
	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
)

// A request is a claim of a class with some parameters, and its result: a volume,
// or an event with the words of a refusal.
type request struct {
	req        spec.ReqID
	check      string
	parameters map[string]string
	size       string
	refusal    string // empty: bound
}

// invalid is PMEM-CSI's error about a parameter that it does not accept there,
// pkg/pmem-csi-driver/parameters of v1.1.0.
const invalid = "invalid in this context"

var requests = []request{
	{req: "DRV-04", check: "1 byte", size: "1"},
	{req: "DRV-04", check: "one byte more than a step", size: "4194305"},
	{req: "DRV-04", check: "33 MiB", size: "33Mi"},
	{req: "DRV-10", check: "eraseafter", size: "4Mi", parameters: map[string]string{"eraseafter": "false"}},
	{req: "DRV-10", check: "usage", size: storage.SizeForFileIO, parameters: map[string]string{"usage": "FileIO"}},
	{req: "DRV-10", check: "persistencyModel", size: "4Mi", parameters: map[string]string{"persistencyModel": "normal"}},
	{req: "DRV-10", check: "kataContainers", size: "4Mi", parameters: map[string]string{"kataContainers": "true", "usage": "AppDirect"}},
	{req: "DRV-10", check: "a size, which only inline volumes have", size: "4Mi", parameters: map[string]string{"size": "8Mi"}, refusal: invalid},
	{req: "DRV-10", check: "an unknown persistency", size: "4Mi", parameters: map[string]string{"persistencyModel": "forever"}, refusal: "unknown value"},
	{req: "DRV-09", check: "an unknown parameter", size: "4Mi", parameters: map[string]string{"colour": "blue"}, refusal: invalid},
	{req: "DRV-09", check: "a parameter spelled as the documentation does", size: "4Mi", parameters: map[string]string{"eraseAfter": "true"}, refusal: invalid},
	{req: "DRV-08", check: "Kata Containers with FileIO", size: "4Mi", parameters: map[string]string{"kataContainers": "true", "usage": "FileIO"}, refusal: "mutually exclusive"},
}

var _ = framework.It(spec.Spec{
	ID: "DRV-04", Title: "a claim gets a volume on one node that is no smaller than requested, or an event that reports why not",
	Covers: []spec.ReqID{"DRV-04", "DRV-08", "DRV-09", "DRV-10", "DRV-15", "DRV-16", "EPH-20", "EPH-23"},
	Level:  spec.Must, Profile: spec.Driver, Needs: []spec.Feature{spec.NodeAccess},
	Tags: []string{"driver"}, Budget: 6 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	driver := storage.DriverName(ctx, e)
	claims := make([]*corev1.PersistentVolumeClaim, len(requests))
	for i, r := range requests {
		class := storage.MakeClass(ctx, e, driver, fmt.Sprint(i), storagev1.VolumeBindingImmediate, r.parameters)
		claims[i] = storage.MakeClaim(ctx, e, class.Name, r.size, corev1.PersistentVolumeFilesystem)
	}
	inline := refusedInline(ctx, e, driver)
	for i, r := range requests {
		name := framework.Name("claim", claims[i]) + " with " + r.check
		if r.refusal != "" {
			_, err := events.AwaitWarning(ctx, e, "claim", claims[i], "ProvisioningFailed", r.refusal)
			e.Expect(r.req, r.check+" is refused by an event", name, err, framework.Succeed)
			e.Expect(r.req, r.check+" gives no volume", name, storage.CurrentClaim(ctx, e, claims[i]).Status.Phase, gomega.Equal(corev1.ClaimPending))
			continue
		}
		bound, err := storage.AwaitBound(ctx, e, claims[i])
		if e.Expect(r.req, r.check+" gives a volume", name, err, framework.Succeed) {
			expectLargeEnough(ctx, e, bound, name)
		}
	}
	for _, r := range inline {
		expectInlineRefused(ctx, e, r)
	}
	claim := expectNotEnlarged(ctx, e, driver)
	expectOneNode(ctx, e, claim)
	expectNoExpansion(ctx, e, driver)
})

// expectOneNode wants a volume on a node that does not have it.
func expectOneNode(ctx context.Context, e *framework.Env, claim *corev1.PersistentVolumeClaim) {
	pv, err := e.Cluster.Client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	e.NoError(err, "get the volume of %s", framework.Name("claim", claim))
	drivers, _, err := pmem.FindNodeDrivers(ctx, e.Cluster)
	e.NoError(err, "find the nodes with the driver")
	own := placedOn(ctx, e, pv)
	i := slices.IndexFunc(drivers, func(nd *pmem.NodeDriver) bool { return !slices.Contains(own, nd.Node) })
	if i < 0 {
		e.Note("second node", "the cluster has no other node with the driver, on which a pod could want the volume")
		return
	}
	p := idle.Pod(ctx, e, e.Manifest(spec.Ephemeral), "elsewhere-", idle.ClaimVolume("volume", claim))
	p.Spec.Affinity = idle.OnNode(drivers[i].Node)
	p = e.StartPod(ctx, p)
	_, err = events.AwaitWarning(ctx, e, "pod", p, "FailedScheduling", "node affinity")
	e.Expect("DRV-16", "a pod on another node is not given the volume, and an event reports why", framework.Name("pod", p)+" on node "+drivers[i].Node, err, framework.Succeed)
}

// placedOn are the nodes on which the scheduler places the pods of a volume.
func placedOn(ctx context.Context, e *framework.Env, pv *corev1.PersistentVolume) []string {
	all, err := e.Cluster.Nodes(ctx)
	e.NoError(err, "list the nodes")
	names, err := storage.AffinityNodes(pv, all)
	e.NoError(err, "find the nodes of volume %s", pv.Name)
	return names
}

// expectLargeEnough compares a claim with its volume, and the volume with that on
// the node of its affinity.
func expectLargeEnough(ctx context.Context, e *framework.Env, claim *corev1.PersistentVolumeClaim, name string) {
	requested := claim.Spec.Resources.Requests.Storage().Value()
	pv, err := e.Cluster.Client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	e.NoError(err, "get the volume of %s", name)
	e.Expect("DRV-04", "the claim's capacity is at least what was requested (bytes)", name, claim.Status.Capacity.Storage().Value(), gomega.BeNumerically(">=", requested))
	e.Expect("DRV-04", "the volume's capacity is at least what was requested (bytes)", name, pv.Spec.Capacity.Storage().Value(), gomega.BeNumerically(">=", requested))
	nodes := placedOn(ctx, e, pv)
	e.Expect("DRV-16", "the volume's affinity ties it to one node", name, nodes, gomega.HaveLen(1))
	e.Expect("DRV-16", "one node may write to the volume", name, pv.Spec.AccessModes, gomega.Equal([]corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}))
	if len(nodes) != 1 {
		return
	}
	nd, err := pmem.FindNodeDriver(ctx, e.Cluster, nodes[0])
	e.NoError(err, "find the driver on node %s", nodes[0])
	dev, found, err := placement.DeviceOf(ctx, nd, pv.Spec.CSI.VolumeHandle)
	e.NoError(err, "list the volumes of node %s", nd.Node)
	if !found {
		dev.Name = "no volume " + pv.Spec.CSI.VolumeHandle
	}
	if e.Expect("DRV-04", "the volume is on its node", name+" on node "+nd.Node, dev.Name, gomega.HavePrefix("/dev/")) {
		e.Expect("DRV-04", "the volume on the node has the capacity of its object or more (bytes)", dev.Name+" on node "+nd.Node,
			dev.Size, gomega.BeNumerically(">=", pv.Spec.Capacity.Storage().Value()))
	}
}

// expectNotEnlarged requests more for a claim that is bound, and returns it.
func expectNotEnlarged(ctx context.Context, e *framework.Env, driver string) *corev1.PersistentVolumeClaim {
	fixed := storage.MakeClass(ctx, e, driver, "fixed", storagev1.VolumeBindingImmediate, nil)
	claim, err := storage.AwaitBound(ctx, e, storage.MakeClaim(ctx, e, fixed.Name, "8Mi", corev1.PersistentVolumeFilesystem))
	e.NoError(err, "bind a claim")
	name := framework.Name("claim", claim)
	err = requestMore(ctx, e, claim)
	if err == nil {
		err = errors.New("it was accepted")
	}
	e.Expect("DRV-15", "a request for more is refused if the class does not allow expansion", name, err.Error(), gomega.ContainSubstring("storageclass"))
	after := storage.CurrentClaim(ctx, e, claim)
	e.Expect("DRV-15", "the claim keeps its capacity (bytes)", name, after.Status.Capacity.Storage().Value(), gomega.Equal(claim.Status.Capacity.Storage().Value()))
	expectLargeEnough(ctx, e, after, name)
	return claim
}

func requestMore(ctx context.Context, e *framework.Env, claim *corev1.PersistentVolumeClaim) error {
	_, err := e.Cluster.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(ctx, claim.Name, types.MergePatchType,
		[]byte(`{"spec":{"resources":{"requests":{"storage":"16Mi"}}}}`), metav1.PatchOptions{})
	return err
}

// expectNoExpansion requests more where the class allows that, so that the request is accepted and the driver has to
// leave it without effect.
func expectNoExpansion(ctx context.Context, e *framework.Env, driver string) {
	class := storage.MakeClass(ctx, e, driver, "expandable", storagev1.VolumeBindingImmediate, nil)
	_, err := e.Cluster.Client.StorageV1().StorageClasses().Patch(ctx, class.Name, types.MergePatchType, []byte(`{"allowVolumeExpansion":true}`), metav1.PatchOptions{})
	e.NoError(err, "let storage class %s allow expansion", class.Name)
	claim, err := storage.AwaitBound(ctx, e, storage.MakeClaim(ctx, e, class.Name, "8Mi", corev1.PersistentVolumeFilesystem))
	e.NoError(err, "bind a claim")
	name := framework.Name("claim", claim)
	e.NoError(requestMore(ctx, e, claim), "request more for %s", name)
	// The controller of Kubernetes leaves volumes of a CSI driver to that driver, and reports so.
	_, err = events.Await(ctx, e, "claim", claim, "ExternalExpanding", "waiting for an external controller")
	e.Expect("DRV-15", "where the class allows expansion, an event reports that a controller of the driver would have to enlarge the volume", name, err, framework.Succeed)
	after := storage.CurrentClaim(ctx, e, claim)
	e.Expect("DRV-15", "where the class allows expansion, the claim keeps its capacity, too (bytes)", name,
		after.Status.Capacity.Storage().Value(), gomega.Equal(claim.Status.Capacity.Storage().Value()))
	pv, err := e.Cluster.Client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	e.NoError(err, "get the volume of %s", name)
	e.Expect("DRV-15", "where the class allows expansion, the volume keeps its capacity, too (bytes)", name,
		pv.Spec.Capacity.Storage().Value(), gomega.Equal(claim.Status.Capacity.Storage().Value()))
}

// An inlineRequest is a pod with an inline volume that the driver must refuse.
type inlineRequest struct {
	req        spec.ReqID
	check      string
	attributes map[string]string
	refusal    string
	pod        *corev1.Pod
}

var inlineRequests = []inlineRequest{
	{req: "DRV-10", check: "persistencyModel, which only claims have", attributes: map[string]string{"size": "4Mi", "persistencyModel": "normal"}, refusal: invalid},
	{req: "DRV-09", check: "an unknown parameter", attributes: map[string]string{"size": "4Mi", "eraseAfter": "true"}, refusal: invalid},
	{req: "DRV-10", check: "an unknown usage", attributes: map[string]string{"size": "4Mi", "usage": "Memory"}, refusal: "unknown value"},
	{req: "DRV-10", check: "a size that is not a quantity", attributes: map[string]string{"size": "4 megabytes"}, refusal: `parameter "size"`},
	{req: "EPH-23", check: "no size", attributes: map[string]string{"usage": "AppDirect"}, refusal: `parameter "size"`},
	{req: "EPH-20", check: "a size above the persistent memory of the node", attributes: map[string]string{"size": "1Pi"}, refusal: noRoom},
	{req: "DRV-08", check: "Kata Containers with FileIO", attributes: map[string]string{"size": "4Mi", "kataContainers": "true", "usage": "FileIO"}, refusal: "mutually exclusive"},
}

// refusedInline makes the pods and waits for nothing.
func refusedInline(ctx context.Context, e *framework.Env, driver string) []inlineRequest {
	m := e.Manifest(spec.Ephemeral)
	var all []inlineRequest
	for _, r := range inlineRequests {
		r.pod = e.StartPod(ctx, idle.Pod(ctx, e, m, "inline-", idle.InlineVolume(driver, "", r.attributes)))
		all = append(all, r)
	}
	return all
}

func expectInlineRefused(ctx context.Context, e *framework.Env, r inlineRequest) {
	name := framework.Name("pod", r.pod) + " with " + r.check
	_, err := events.AwaitWarning(ctx, e, "pod", r.pod, "FailedMount", r.refusal)
	e.Expect(r.req, r.check+" is refused by an event", name, err, framework.Succeed)
	now, err := e.Cluster.Client.CoreV1().Pods(r.pod.Namespace).Get(ctx, r.pod.Name, metav1.GetOptions{})
	e.NoError(err, "read %s", name)
	e.Expect(r.req, "with "+r.check+" the pod does not start", name, now.Status.Phase, gomega.Equal(corev1.PodPending))
}
