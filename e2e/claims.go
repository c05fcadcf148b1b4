package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// A request is a claim of a class with some parameters, and what has to come of
// it: a volume, or an event with the words of a refusal.
type request struct {
	req        spec.ReqID
	says       string
	parameters map[string]string
	size       string
	refusal    string // empty: bound
}

// invalid is what PMEM-CSI says of a parameter that it does not take there,
// pkg/pmem-csi-driver/parameters of v1.1.0.
const invalid = "invalid in this context"

// forFileIO is the size of a claim for file I/O that a driver without LVM can
// meet, too. There it is a namespace with a block translation table, which needs
// 16 MiB and some more (ARENA_MIN_SIZE of Linux's drivers/nvdimm/btt.h). What the
// table takes PMEM-CSI v1.1.0 does not count as the volume's, so that the
// provisioner refuses a claim for a whole number of steps of 16 MiB.
const forFileIO = "30Mi"

var requests = []request{
	{req: "DRV-04", says: "1 byte", size: "1"},
	{req: "DRV-04", says: "one byte more than a step", size: "4194305"},
	{req: "DRV-04", says: "33 MiB", size: "33Mi"},
	{req: "DRV-10", says: "eraseafter", size: "4Mi", parameters: map[string]string{"eraseafter": "false"}},
	{req: "DRV-10", says: "usage", size: forFileIO, parameters: map[string]string{"usage": "FileIO"}},
	{req: "DRV-10", says: "persistencyModel", size: "4Mi", parameters: map[string]string{"persistencyModel": "normal"}},
	{req: "DRV-10", says: "kataContainers", size: "4Mi", parameters: map[string]string{"kataContainers": "true", "usage": "AppDirect"}},
	{req: "DRV-10", says: "a size, which only inline volumes have", size: "4Mi", parameters: map[string]string{"size": "8Mi"}, refusal: invalid},
	{req: "DRV-10", says: "an unknown persistency", size: "4Mi", parameters: map[string]string{"persistencyModel": "forever"}, refusal: "unknown value"},
	{req: "DRV-09", says: "an unknown parameter", size: "4Mi", parameters: map[string]string{"colour": "blue"}, refusal: invalid},
	{req: "DRV-09", says: "a parameter spelled as the documentation does", size: "4Mi", parameters: map[string]string{"eraseAfter": "true"}, refusal: invalid},
	{req: "DRV-08", says: "Kata Containers with FileIO", size: "4Mi", parameters: map[string]string{"kataContainers": "true", "usage": "FileIO"}, refusal: "mutually exclusive"},
}

var _ = framework.It(spec.Spec{
	ID: "DRV-04", Title: "a claim gets a volume on one node that is no smaller than asked for, or a refusal that says why",
	Covers: []spec.ReqID{"DRV-04", "DRV-08", "DRV-09", "DRV-10", "DRV-15", "DRV-16"},
	Level:  spec.Must, Profile: spec.Driver, Needs: []spec.Feature{spec.NodeAccess},
	Tags: []string{"driver"}, Budget: 6 * time.Minute,
}, func(ctx context.Context, e *framework.Env) {
	driver := driverName(ctx, e)
	claims := make([]*corev1.PersistentVolumeClaim, len(requests))
	for i, r := range requests {
		class := makeClass(ctx, e, driver, fmt.Sprint(i), storagev1.VolumeBindingImmediate, r.parameters)
		claims[i] = makeClaim(ctx, e, class.Name, r.size, corev1.PersistentVolumeFilesystem)
	}
	inline := refusedInline(ctx, e, driver)
	for i, r := range requests {
		name := framework.Name("claim", claims[i]) + " with " + r.says
		if r.refusal != "" {
			event, err := awaitEvent(ctx, e, "claim", claims[i], "ProvisioningFailed", r.refusal)
			e.Expect(r.req, r.says+" is refused by an event", name, err, framework.Succeed)
			e.Expect(r.req, r.says+" gives no volume ("+event+")", name, currentClaim(ctx, e, claims[i]).Status.Phase, gomega.Equal(corev1.ClaimPending))
			continue
		}
		bound, err := awaitBound(ctx, e, claims[i])
		if e.Expect(r.req, r.says+" gives a volume", name, err, framework.Succeed) {
			expectLargeEnough(ctx, e, bound, name)
		}
	}
	for _, r := range inline {
		expectInlineRefused(ctx, e, r)
	}
	expectNotEnlarged(ctx, e, driver)
})

// makeClaim makes a claim that is removed with the ledger.
func makeClaim(ctx context.Context, e *framework.Env, class, size string, mode corev1.PersistentVolumeMode) *corev1.PersistentVolumeClaim {
	claim, err := e.Cluster.Client.CoreV1().PersistentVolumeClaims(e.Namespace).Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "claim-"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class, VolumeMode: &mode,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
		},
	}, metav1.CreateOptions{})
	e.NoError(err, "make a claim")
	e.Ledger.Add(framework.Name("claim", claim), func(ctx context.Context) error { return removeClaim(ctx, e, claim) })
	return claim
}

func currentClaim(ctx context.Context, e *framework.Env, claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	got, err := e.Cluster.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).Get(ctx, claim.Name, getOptions)
	e.NoError(err, "read %s", framework.Name("claim", claim))
	return got
}

func awaitBound(ctx context.Context, e *framework.Env, claim *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
	name := framework.Name("claim", claim)
	err := e.Waiter.Until(ctx, wait.ClaimBound, name+" to be bound", func(ctx context.Context) (bool, string, error) {
		got, err := e.Cluster.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).Get(ctx, claim.Name, getOptions)
		if err != nil {
			return false, "", err
		}
		claim = got
		lines, err := eventsOf(ctx, e, got.Namespace, got.UID)
		return got.Status.Phase == corev1.ClaimBound, string(got.Status.Phase) + ": " + strings.Join(lines, "; "), err
	})
	return claim, err
}

// expectLargeEnough compares a claim with its volume, and that with what there
// is on its node, to which its affinity has to tie it.
func expectLargeEnough(ctx context.Context, e *framework.Env, claim *corev1.PersistentVolumeClaim, name string) {
	requested := claim.Spec.Resources.Requests.Storage().Value()
	pv, err := e.Cluster.Client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, getOptions)
	e.NoError(err, "get the volume of %s", name)
	e.Expect("DRV-04", "the claim's capacity is at least what was asked for (bytes)", name, claim.Status.Capacity.Storage().Value(), gomega.BeNumerically(">=", requested))
	e.Expect("DRV-04", "the volume's capacity is at least what was asked for (bytes)", name, pv.Spec.Capacity.Storage().Value(), gomega.BeNumerically(">=", requested))
	nodes := affinityNodes(pv)
	e.Expect("DRV-16", "the volume's affinity ties it to one node", name, nodes, gomega.HaveLen(1))
	e.Expect("DRV-16", "one node may write to the volume", name, pv.Spec.AccessModes, gomega.Equal([]corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}))
	if len(nodes) != 1 {
		return
	}
	nd, err := pmem.FindNodeDriver(ctx, e.Cluster, nodes[0])
	e.NoError(err, "find the driver on node %s", nodes[0])
	dev, found, err := deviceOf(ctx, nd, pv.Spec.CSI.VolumeHandle)
	e.NoError(err, "list the volumes of node %s", nd.Node)
	if e.Expect("DRV-04", "the volume is on its node", name, found, gomega.BeTrue()) {
		e.Expect("DRV-04", "the volume on the node is as large as its object says (bytes)", dev.name+" on node "+nd.Node,
			dev.size, gomega.BeNumerically(">=", pv.Spec.Capacity.Storage().Value()))
	}
}

// affinityNodes are the nodes that a volume's affinity names. The driver uses
// a label of its own, whose value is the node's name.
func affinityNodes(pv *corev1.PersistentVolume) []string {
	var nodes []string
	if pv.Spec.NodeAffinity == nil || pv.Spec.NodeAffinity.Required == nil {
		return nil
	}
	for _, term := range pv.Spec.NodeAffinity.Required.NodeSelectorTerms {
		for _, expression := range term.MatchExpressions {
			nodes = append(nodes, expression.Values...)
		}
	}
	return nodes
}

// expectNotEnlarged asks for more of a claim that is bound.
func expectNotEnlarged(ctx context.Context, e *framework.Env, driver string) {
	fixed := makeClass(ctx, e, driver, "fixed", storagev1.VolumeBindingImmediate, nil)
	claim, err := awaitBound(ctx, e, makeClaim(ctx, e, fixed.Name, "8Mi", corev1.PersistentVolumeFilesystem))
	e.NoError(err, "bind a claim")
	name := framework.Name("claim", claim)
	_, err = e.Cluster.Client.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(ctx, claim.Name, types.MergePatchType,
		[]byte(`{"spec":{"resources":{"requests":{"storage":"16Mi"}}}}`), metav1.PatchOptions{})
	if err == nil {
		err = errors.New("it was accepted")
	}
	e.Expect("DRV-15", "a class that does not allow it has the request for more refused", name, err.Error(), gomega.ContainSubstring("storageclass"))
	after := currentClaim(ctx, e, claim)
	e.Expect("DRV-15", "the claim's capacity stays (bytes)", name, after.Status.Capacity.Storage().Value(), gomega.Equal(claim.Status.Capacity.Storage().Value()))
	expectLargeEnough(ctx, e, after, name)
}
