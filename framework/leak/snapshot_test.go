package leak

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	ktesting "k8s.io/client-go/testing"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/probe"
)

var noon = metav1.NewTime(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC))

func meta(apiVersion, kind, ns, name string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: apiVersion, Kind: kind},
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, CreationTimestamp: noon,
			UID: types.UID("uid-" + kind + "-" + name)},
	}
}

func ownedBy(o *metav1.PartialObjectMetadata, kind, name string) *metav1.PartialObjectMetadata {
	yes := true
	o.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: name, UID: types.UID("uid-" + kind + "-" + name), Controller: &yes}}
	return o
}

// newTaker has fakes for the API. Nodes are given by their inventories, because a fake has no exec.
func newTaker(scope Scope, metadata, typed []runtime.Object, nodes ...node) *taker {
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		panic(err)
	}
	return &taker{
		cluster:  &cluster.Cluster{Client: fake.NewClientset(typed...)},
		metadata: metadatafake.NewSimpleMetadataClient(scheme, metadata...),
		scope:    scope, lists: make(chan struct{}, listsAtOnce), nodes: nodes,
		snapshot: Snapshot{items: map[key]item{}, read: sets.New[part]()},
	}
}

const (
	podUID   = "11111111-2222-3333-4444-555555555555"
	claimUID = "0cf8a5d5-077c-4278-8587-89c069518e78"
)

func leftBehind() (metadata, typed []runtime.Object) {
	leaving := meta("v1", "PersistentVolumeClaim", "e2e-1", "data-0")
	later := metav1.NewTime(noon.Add(time.Minute))
	leaving.DeletionTimestamp, leaving.Finalizers = &later, []string{"kubernetes.io/pvc-protection"}
	foreign := meta("v1", "Pod", "other", "foreign")
	foreign.UID = podUID
	metadata = []runtime.Object{
		meta("v1", "Namespace", "", "e2e-1"), leaving,
		meta("v1", "ConfigMap", "e2e-1", "kube-root-ca.crt"), meta("v1", "ServiceAccount", "e2e-1", "default"),
		meta("apps/v1", "DaemonSet", "pmem-csi", "node"),
		ownedBy(meta("v1", "Pod", "pmem-csi", "node-x7k2p"), "DaemonSet", "node"),
		ownedBy(meta("v1", "Pod", "e2e-1", "memcached-0"), "StatefulSet", "memcached"),
		foreign,
	}
	name := "pvc-" + claimUID
	typed = []runtime.Object{
		&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: noon},
			Spec: corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{Namespace: "e2e-1", Name: "data-0"},
				Capacity:                      corev1.ResourceList{"storage": resource.MustParse("200Mi")},
				PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
				PersistentVolumeSource:        corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{VolumeHandle: pmem.VolumeID(name)}}},
			Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeReleased}},
		&storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "csi-1"},
			Spec: storagev1.VolumeAttachmentSpec{NodeName: "node-1", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &name}}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "viewer"}, RoleRef: rbacv1.RoleRef{Name: "view"},
			Subjects: []rbacv1.Subject{{Namespace: "other"}, {Namespace: "e2e-1"}}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "other", Name: "starting", UID: "starting-uid"},
			Spec: corev1.PodSpec{NodeName: "node-1", Volumes: []corev1.Volume{{Name: "data",
				VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "pmem-csi.intel.com"}}}}}},
	}
	return metadata, typed
}

func inventory() pmem.Inventory {
	volume := func(id string) pmem.LogicalVolume {
		return pmem.LogicalVolume{Name: id, Group: "ndbus0region0fsdax", Path: "/dev/ndbus0region0fsdax/" + id, Size: 200 << 20}
	}
	ours := pmem.VolumeID("pvc-" + claimUID)
	inline := pmem.VolumeID(pmem.InlineName(podUID, "data"))
	starting := pmem.VolumeID(pmem.InlineName("starting-uid", "data"))
	orphan := pmem.VolumeID(pmem.InlineName("gone-uid", "data"))
	return pmem.Inventory{
		Volumes:    []pmem.LogicalVolume{volume(ours), volume(inline), volume(starting), volume(orphan), volume("by-hand")},
		Groups:     []pmem.VolumeGroup{{Name: "ndbus0region0fsdax", Size: 2 << 30, Free: 1 << 30}},
		Namespaces: []pmem.Namespace{{Dev: "namespace0.0", Name: "pmem-csi", Mode: "fsdax", Size: 2 << 30}},
		Mounts: []probe.Mount{
			{Device: "/dev/ndbus0region0fsdax/" + inline, FSType: "ext4", Path: "/var/lib/kubelet/pods/" + podUID + "/volumes/kubernetes.io~csi/data/mount"},
			{Device: "/dev/ndbus0region0fsdax/" + ours, FSType: "ext4", Path: "/var/lib/kubelet/plugins/kubernetes.io/csi/pmem-csi.intel.com/5a/globalmount"},
			{Device: "/dev/ndbus0region0fsdax/" + ours, FSType: "ext4", Path: "/var/lib/kubelet/plugins/kubernetes.io/csi/pmem-csi.intel.com/5a/globalmount"},
			{Device: "/dev/pmem1", FSType: "xfs", Path: "/var/lib/kubelet/pods/99999999-2222-3333-4444-555555555555/volumes/kubernetes.io~csi/data/mount"},
		},
		Files: []string{ours + ".json", orphan + ".json.tmp"},
	}
}

func TestTakeAndDiff(t *testing.T) {
	for _, exclusive := range []bool{true, false} {
		scope := Scope{Namespaces: []string{"e2e-1"}, Exclusive: exclusive}
		before := take(t, newTaker(scope, nil, nil, node{"node-1", pmem.Inventory{Groups: []pmem.VolumeGroup{{Name: "ndbus0region0fsdax", Free: 2 << 30}}}}))
		metadata, typed := leftBehind()
		after := take(t, newTaker(scope, metadata, typed, node{"node-1", inventory()}))
		name := "shared.txt"
		if exclusive {
			name = "exclusive.txt"
		}
		golden.Check(t, name, strings.Join(lines(Diff(before, after, scope)), "\n")+"\n")
	}
}

// take completes the snapshot as if the nodes that the taker was given had just been read.
func take(t *testing.T, taker *taker) Snapshot {
	t.Helper()
	for _, n := range taker.nodes {
		for _, name := range []string{pmem.PartVolumes, pmem.PartNamespaces, pmem.PartMounts, pmem.PartFiles} {
			taker.filed(part{Node, n.name, name}, n.inventory.Unread[name])
		}
		taker.filed(part{Capacity, n.name, pmem.PartGroups}, nil)
	}
	s, err := taker.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func refuse(t *taker, resource string, err error) {
	react := func(ktesting.Action) (bool, runtime.Object, error) { return true, nil, err }
	t.metadata.(*metadatafake.FakeMetadataClient).PrependReactor("list", resource, react)
	t.cluster.Client.(*fake.Clientset).PrependReactor("list", resource, react)
}

func gap(s Snapshot, view View, where, name string) string {
	for _, g := range s.Unread {
		if g.View == view && g.Where == where && g.Part == name {
			return g.Why
		}
	}
	return ""
}

// TestListsWhatCounts makes sure that on a cluster with other users only the run's own namespaces are listed, apart from what the
// volumes on nodes can belong to.
func TestListsWhatCounts(t *testing.T) {
	for exclusive, want := range map[bool][]string{true: {""}, false: {"e2e-1"}} {
		metadata, typed := leftBehind()
		taker := newTaker(Scope{Namespaces: []string{"e2e-0", "e2e-1"}, Exclusive: exclusive}, metadata, typed)
		take(t, taker)
		listed := map[string][]string{}
		for _, a := range taker.metadata.(*metadatafake.FakeMetadataClient).Actions() {
			resource := a.GetResource().Resource
			listed[resource] = append(listed[resource], a.GetNamespace())
		}
		if !slices.Equal(listed["secrets"], want) || !slices.Equal(listed["pods"], []string{""}) {
			t.Errorf("exclusive %t: secrets listed in %q, want %q; pods in %q", exclusive, listed["secrets"], want, listed["pods"])
		}
	}
}

func TestTakeWithGaps(t *testing.T) {
	metadata, typed := leftBehind()
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "", errors.New("no"))

	taker := newTaker(Scope{Exclusive: true, Published: true}, metadata, typed, node{"node-1", pmem.Inventory{
		Unread: map[string]error{pmem.PartVolumes: errors.New("exit code 5")}}})
	refuse(taker, "secrets", forbidden)
	refuse(taker, "daemonsets", forbidden)
	refuse(taker, "csistoragecapacities", forbidden)
	refuse(taker, "ingresses", apierrors.NewNotFound(schema.GroupResource{Resource: "ingresses"}, ""))
	s := take(t, taker)
	for _, p := range []part{listed("secrets"), listed("daemonsets"), {Node, "node-1", pmem.PartVolumes}, {Capacity, "cluster", "csistoragecapacities"}} {
		if why := gap(s, p.view, p.where, p.name); why == "" || s.read.Has(p) {
			t.Errorf("%s: why %q, read %t", p, why, s.read.Has(p))
		}
	}
	if why := gap(s, Node, everywhere, ""); !strings.Contains(why, "install PMEM-CSI") {
		t.Errorf("no driver: %q in %v", why, s.Unread)
	}
	if !s.read.HasAll(listed("ingresses"), listed("pods"), part{Node, "node-1", pmem.PartMounts}) {
		t.Error("what was read is reported as unread")
	}
	if _, ok := s.items[key{API, "pmem-csi", "Pod node-x7k2p"}]; ok {
		t.Error("a pod of which it is not known whether its DaemonSet is there")
	}

	for _, resource := range []string{"pods", "persistentvolumes", "persistentvolumeclaims"} {
		taker = newTaker(Scope{}, metadata, typed, node{"node-1", inventory()})
		refuse(taker, resource, forbidden)
		s = take(t, taker)
		if why := gap(s, Node, "node-1", ""); why != "it is not known whose volumes they are: "+resource+" could not be listed" {
			t.Errorf("%s unread: %q", resource, why)
		}
		for k := range s.items {
			if k.view == Node {
				t.Errorf("%s unread, nevertheless %+v", resource, k)
			}
		}
	}
}

func TestTakeNothing(t *testing.T) {
	taker := newTaker(Scope{}, nil, nil)
	refuse(taker, "*", errors.New("connection refused"))
	if _, err := taker.take(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing could be read; first: api view of cluster: clusterrolebindings: connection refused") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	if _, err := newTaker(Scope{}, nil, nil).take(ctx); err == nil || !strings.HasSuffix(err.Error(), "interrupted") {
		t.Errorf("error %v", err)
	}
}

func TestPublished(t *testing.T) {
	quantity := resource.MustParse("1Gi")
	object := &storagev1.CSIStorageCapacity{ObjectMeta: metav1.ObjectMeta{Namespace: "pmem-csi", Name: "csisc-x"}, StorageClassName: "fast",
		NodeTopology: &metav1.LabelSelector{MatchLabels: map[string]string{"pmem-csi.intel.com/node": "node-1"}}, Capacity: &quantity}
	want := key{Capacity, "cluster", "published for class fast on pmem-csi.intel.com/node=node-1"}
	for _, scope := range []Scope{{Exclusive: true, Published: true}, {Exclusive: true}, {Published: true}} {
		i, ok := take(t, newTaker(scope, nil, []runtime.Object{object})).items[want]
		if wanted := scope.Exclusive && scope.Published; ok != wanted || ok && i.bytes != 1<<30 {
			t.Errorf("%+v: %t %+v", scope, ok, i)
		}
	}
}
