package facts

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/deploy/deploytest"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/spec"
)

const fileIO = `
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: pmem}
provisioner: driver.example
parameters: {usage: FileIO}
`

func driver(name string, modes ...storagev1.VolumeLifecycleMode) *storagev1.CSIDriver {
	yes := true
	return &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: storagev1.CSIDriverSpec{VolumeLifecycleModes: modes, StorageCapacity: &yes}}
}

func class(usage string) *storagev1.StorageClass {
	reclaim, binding := corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingWaitForFirstConsumer
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "pmem"}, Provisioner: "driver.example",
		Parameters: map[string]string{"csi.storage.k8s.io/fstype": "ext4", "usage": usage}, ReclaimPolicy: &reclaim, VolumeBindingMode: &binding}
}

func node(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{
		Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("4Gi")},
		NodeInfo: corev1.NodeSystemInfo{KernelVersion: "6.1.0", OSImage: "Debian", ContainerRuntimeVersion: "containerd://2.4.2",
			KubeletVersion: "v1.36.3", Architecture: "amd64"}}}
}

func driverPod(node, image string, ready corev1.ConditionStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "pmem-csi", Name: "on-" + node, Labels: map[string]string{"app.kubernetes.io/name": "pmem-csi-node"}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{
			{Name: "driver-registrar", Image: "registrar:1"},
			{Name: pmem.NodeDriverContainer, Image: image, Command: []string{"/usr/local/bin/pmem-csi-driver", "-deviceManager=lvm", "-drivername=driver.example"}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: pmem.NodeDriverContainer, ImageID: "sha256:12"}}},
	}
}

// lab is what a node of the lab says of itself.
var lab = pmem.Platform{
	CPU: "QEMU TCG CPU version 2.5+", Virtual: true, Machine: "QEMU Standard PC (Q35 + ICH9, 2009)", Accelerator: pmem.TCG,
	CommandLine: "root=/dev/vda memmap=2048M!4G", Version: "v1.1.0",
	Buses:  []pmem.Bus{{Provider: "e820", Dev: "ndbus0", Regions: []pmem.Region{{Dev: "region0", Size: 2 << 30, Type: "pmem"}}}},
	Groups: []pmem.VolumeGroup{{Name: "ndbus0region0fsdax", Size: 2044 << 20, Free: 1844 << 20}},
}

// probe runs the whole of it but the question about the server's version, which a fake cannot answer.
func probe(t *testing.T, ctx context.Context, client *fake.Clientset, platforms map[string]pmem.Platform, manifests ...*deploy.Manifest) (string, map[spec.Feature]spec.Support) {
	t.Helper()
	var deployments []Deployment
	for _, m := range manifests {
		deployments = append(deployments, Deployment{filepath.Base(m.Dir), m})
	}
	p := &prober{
		cluster: &cluster.Cluster{Client: client}, deployments: deployments, features: map[spec.Feature]spec.Support{},
		platform: func(ctx context.Context, d *pmem.NodeDriver) (pmem.Platform, error) {
			if found, ok := platforms[d.Node]; ok {
				return found, nil
			}
			return pmem.Platform{}, fmt.Errorf("node %s: unable to upgrade connection: Forbidden", d.Node)
		},
	}
	found := p.rest(ctx)
	var b strings.Builder
	for _, f := range found.Facts {
		if f.Value == "" || f.Evidence == "" || strings.ContainsAny(f.Value+f.Evidence, "\n\t") {
			t.Errorf("fact %+v", f)
		}
		fmt.Fprintf(&b, "%s: %s: %s (%s)\n", f.Group, f.Name, f.Value, f.Evidence)
	}
	return b.String(), found.Features
}

const wanted = `cluster: nodes: 2 (list of nodes)
cluster: nodes with the driver: 1 (pods labelled app.kubernetes.io/name=pmem-csi-node)
driver: name: driver.example (the manifests, their storage classes, and the driver's pods)
driver: volume modes: Persistent, Ephemeral (volumeLifecycleModes of CSIDriver driver.example)
driver: storage capacity: true (storageCapacity of CSIDriver driver.example)
driver: version: v1.1.0 (pod pmem-csi/on-worker, container pmem-driver: pmem-csi-driver -version)
driver: device mode: lvm (pod pmem-csi/on-worker, container pmem-driver: -deviceManager)
driver: image: lab/pmem-csi-driver:v1.1.0 (pod pmem-csi/on-worker, container pmem-driver: image)
driver: image digest: sha256:12 (pod pmem-csi/on-worker, container pmem-driver: imageID)
driver: class pmem: fstype=ext4, usage=AppDirect, Delete, WaitForFirstConsumer (StorageClass pmem)
deployment ephemeral: workload: Deployment (Deployment/cache of that kustomization)
deployment ephemeral: image: memcached:1 (Deployment/cache of that kustomization)
deployment ephemeral: volume: CSI ephemeral inline volume, 200Mi, driver driver.example, ext4 (Deployment/cache of that kustomization)
deployment ephemeral: command: sh /scripts/memcached-wrapper.sh ephemeral (Deployment/cache of that kustomization)
deployment ephemeral: arguments for memcached: -t 2 (MEMCACHED_ARGS in Deployment/cache of that kustomization)
deployment ephemeral: Service for clients: cache, port 11211 (Services of that kustomization)
deployment persistent: workload: StatefulSet (StatefulSet/cache of that kustomization)
deployment persistent: image: memcached:1 (StatefulSet/cache of that kustomization)
deployment persistent: volume: claim template of the StatefulSet, 200Mi, class pmem (StatefulSet/cache of that kustomization)
deployment persistent: arguments for memcached: none (MEMCACHED_ARGS in StatefulSet/cache of that kustomization)
deployment persistent: Service for clients: cache, port 11211 (Services of that kustomization)
node worker: kernel: 6.1.0 (status of node worker)
node worker: system: Debian (status of node worker)
node worker: container runtime: containerd://2.4.2 (status of node worker)
node worker: kubelet: v1.36.3 (status of node worker)
node worker: architecture: amd64 (status of node worker)
node worker: processors: 2 (status of node worker)
node worker: memory: 4096 MiB (status of node worker)
node worker: processor: QEMU TCG CPU version 2.5+ (in pod pmem-csi/on-worker: /proc/cpuinfo)
node worker: machine: QEMU Standard PC (Q35 + ICH9, 2009) (in pod pmem-csi/on-worker: /sys/class/dmi/id)
node worker: accelerator: TCG (in pod pmem-csi/on-worker: /proc/cpuinfo, dmesg, clock sources)
node worker: persistent memory is emulated: yes (in pod pmem-csi/on-worker: ndctl list -B, /proc/cmdline, /proc/cpuinfo)
node worker: persistent memory: main memory that the kernel reserves by memmap=2048M!4G (in pod pmem-csi/on-worker: ndctl list -BDRi, /proc/cmdline, /proc/cpuinfo, /sys/class/dmi/id)
node worker: region region0: 2048 MiB pmem by e820 (in pod pmem-csi/on-worker: ndctl list -BDRi)
node worker: volume group ndbus0region0fsdax: 2044 MiB (in pod pmem-csi/on-worker: vgs)
node worker: free in volume group ndbus0region0fsdax: 1844 MiB (in pod pmem-csi/on-worker: vgs)
`

func TestProbe(t *testing.T) {
	client := fake.NewClientset(node("worker"), node("bare"), class("AppDirect"), driverPod("worker", "lab/pmem-csi-driver:v1.1.0", corev1.ConditionTrue),
		driver("driver.example", storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral))
	got, features := probe(t, t.Context(), client, map[string]pmem.Platform{"worker": lab},
		deploytest.Load(t, "manifests/ephemeral", deploytest.Inline), deploytest.Load(t, "manifests/persistent", deploytest.Claim))
	if got != wanted {
		t.Errorf("got\n%s", diff(wanted, got))
	}
	want := map[spec.Feature]spec.Support{
		spec.InlineVolume: {Presence: spec.Supported, Evidence: "Ephemeral is among the volumeLifecycleModes of CSIDriver driver.example"},
		spec.NodeAccess:   {Presence: spec.Supported, Evidence: "commands run in pod pmem-csi/on-worker on node worker"},
		spec.SecondNode:   {Presence: spec.Absent, Evidence: "nodes with the driver that accept pods: 1 (worker)"},
	}
	if fmt.Sprint(features) != fmt.Sprint(want) {
		t.Errorf("features %+v, want %+v", features, want)
	}
}

// diff returns the lines that only one text has.
func diff(a, b string) string {
	var out []string
	for line := range strings.Lines(a) {
		if !strings.Contains(b, line) {
			out = append(out, "- "+line)
		}
	}
	for line := range strings.Lines(b) {
		if !strings.Contains(a, line) {
			out = append(out, "+ "+line)
		}
	}
	return strings.Join(out, "")
}

// TestUnread has each source fail, which is reported and stops nothing.
func TestUnread(t *testing.T) {
	worker := func() []runtime.Object {
		return []runtime.Object{node("worker"), class("AppDirect"), driver("driver.example", storagev1.VolumeLifecycleEphemeral),
			driverPod("worker", "lab/pmem-csi-driver:v1.1.0", corev1.ConditionTrue)}
	}
	for _, test := range []struct {
		resource, fact string
		absent         spec.Feature // that cannot be decided
	}{
		{"nodes", "cluster: nodes: unknown (refused by the test)", spec.SecondNode},
		{"pods", "cluster: nodes with the driver: unknown (looking for the pods of PMEM-CSI: refused by the test)", spec.NodeAccess},
		{"storageclasses", "cluster: storage classes: unknown (list the storage classes: refused by the test)", ""},
		{"csidrivers", "driver: volume modes: unknown (refused by the test)", spec.InlineVolume},
	} {
		t.Run(test.resource, func(t *testing.T) {
			client := fake.NewClientset(worker()...)
			client.PrependReactor("*", test.resource, func(ktesting.Action) (bool, runtime.Object, error) {
				return true, nil, errors.New("refused by the\ntest")
			})
			got, features := probe(t, t.Context(), client, map[string]pmem.Platform{"worker": lab}, deploytest.Load(t, "manifests/ephemeral", deploytest.Inline))
			if !strings.Contains(got, test.fact+"\n") {
				t.Errorf("no %q in\n%s", test.fact, got)
			}
			if !strings.Contains(got, "deployment ephemeral: image: memcached:1") {
				t.Errorf("other facts are missing:\n%s", got)
			}
			if support, ok := features[test.absent]; ok && support.Presence != spec.Unseen {
				t.Errorf("%s is decided: %+v", test.absent, support)
			}
		})
	}
}

func TestMachineUnread(t *testing.T) {
	platform := pmem.Platform{Unread: map[string]error{
		pmem.PartProcessor: errors.New("/proc/cpuinfo names no model"), pmem.PartFirmware: errors.New("exit code 1"),
		pmem.PartBuses: errors.New("exit code 127: ndctl: not found"), pmem.PartGroups: errors.New("exit code 5"), pmem.PartVersion: errors.New("exit code 127"),
	}}
	client := fake.NewClientset(node("worker"), driverPod("worker", "registry:5000/pmem-csi-driver:v1.0.2@sha256:ab", corev1.ConditionTrue))
	got, _ := probe(t, t.Context(), client, map[string]pmem.Platform{"worker": platform})
	for _, want := range []string{
		"processor: unknown (in pod pmem-csi/on-worker: /proc/cpuinfo: /proc/cpuinfo names no model)",
		"machine: unknown (in pod pmem-csi/on-worker: /sys/class/dmi/id: exit code 1)",
		"accelerator: unknown (",
		"persistent memory is emulated: unknown (",
		"persistent memory: unknown (in pod pmem-csi/on-worker: ndctl list -BDRi, /proc/cmdline, /proc/cpuinfo, /sys/class/dmi/id: exit code 127: ndctl: not found)",
		"volume groups: unknown (in pod pmem-csi/on-worker: vgs: exit code 5)",
		"driver: version by its image: v1.0.2 (",
		"driver: volume modes: unknown (csidrivers.storage.k8s.io \"driver.example\" not found)",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestNodeAccess(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	ready, unready := driverPod("worker", "d:1", corev1.ConditionTrue), driverPod("worker", "d:1", corev1.ConditionFalse)
	for _, test := range []struct {
		name    string
		ctx     context.Context
		pods    []runtime.Object
		asked   map[string]pmem.Platform
		decided bool
		want    spec.Support
	}{
		{"reached", t.Context(), []runtime.Object{ready}, map[string]pmem.Platform{"worker": lab}, true,
			spec.Support{Presence: spec.Supported, Evidence: "commands run in pod pmem-csi/on-worker on node worker"}},
		{"one of two is enough", t.Context(), []runtime.Object{driverPod("a", "d:1", corev1.ConditionTrue), ready}, map[string]pmem.Platform{"worker": lab}, true,
			spec.Support{Presence: spec.Supported, Evidence: "commands run in pod pmem-csi/on-worker on node worker"}},
		{"refused", t.Context(), []runtime.Object{ready}, nil, true, spec.Support{Presence: spec.Unseen, Evidence: "node worker: unable to upgrade connection: Forbidden",
			Remedy: "allow the user of the kubeconfig to run commands in the driver's pods (create on pods/exec, and what admission policies decide about it)"}},
		{"no pod", t.Context(), nil, nil, true, spec.Support{Presence: spec.Unseen, Evidence: "no pod is labelled app.kubernetes.io/name=pmem-csi-node",
			Remedy: "label the pods of PMEM-CSI on the nodes as its own deployment does"}},
		{"not ready now", t.Context(), []runtime.Object{unready}, nil, false, spec.Support{}},
		{"interrupted", ended, []runtime.Object{ready}, nil, false, spec.Support{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, features := probe(t, test.ctx, fake.NewClientset(test.pods...), test.asked)
			if got, decided := features[spec.NodeAccess]; decided != test.decided || got != test.want {
				t.Errorf("got %+v, decided %t; want %+v, %t", got, decided, test.want, test.decided)
			}
		})
	}
}

func TestFeaturesOfVolumes(t *testing.T) {
	inline, claim := deploytest.Load(t, "a/inline", deploytest.Inline), deploytest.Load(t, "a/claim", deploytest.Claim)
	own := deploytest.Load(t, "b/claim", deploytest.Claim+fileIO)
	both := driver("driver.example", storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral)
	for _, test := range []struct {
		name      string
		manifests []*deploy.Manifest
		objects   []runtime.Object
		want      map[spec.Feature]spec.Support
	}{
		{"inline volumes lacking", []*deploy.Manifest{inline}, []runtime.Object{driver("driver.example", storagev1.VolumeLifecyclePersistent)},
			map[spec.Feature]spec.Support{spec.InlineVolume: {Presence: spec.Absent, Evidence: "Ephemeral is not among the volumeLifecycleModes of CSIDriver driver.example"}}},
		{"claims tell of the driver, too", []*deploy.Manifest{claim}, []runtime.Object{both, class("AppDirect")},
			map[spec.Feature]spec.Support{spec.InlineVolume: {Presence: spec.Supported, Evidence: "Ephemeral is among the volumeLifecycleModes of CSIDriver driver.example"}}},
		{"driver absent", []*deploy.Manifest{inline}, nil, map[spec.Feature]spec.Support{}},
		{"no class has dax", []*deploy.Manifest{claim}, []runtime.Object{class("FileIO")},
			map[spec.Feature]spec.Support{spec.DAX: {Presence: spec.Absent, Evidence: "StorageClass pmem has usage=FileIO"}}},
		{"one volume may have dax", []*deploy.Manifest{claim, inline}, []runtime.Object{class("FileIO")}, map[spec.Feature]spec.Support{}},
		{"class of the manifest", []*deploy.Manifest{own}, []runtime.Object{class("AppDirect")},
			map[spec.Feature]spec.Support{spec.DAX: {Presence: spec.Absent, Evidence: "StorageClass pmem has usage=FileIO"}}},
		{"class absent", []*deploy.Manifest{claim}, nil, map[spec.Feature]spec.Support{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, features := probe(t, t.Context(), fake.NewClientset(test.objects...), nil, test.manifests...)
			delete(features, spec.NodeAccess)
			delete(features, spec.SecondNode)
			if fmt.Sprint(features) != fmt.Sprint(test.want) {
				t.Errorf("got %+v, want %+v", features, test.want)
			}
		})
	}
}

func TestSeveralNodesAndDrivers(t *testing.T) {
	other := driverPod("b", "lab/pmem-csi-driver:v1.0.0", corev1.ConditionTrue)
	client := fake.NewClientset(node("a"), node("b"), node("c"), driverPod("a", "lab/pmem-csi-driver:v1.1.0", corev1.ConditionTrue), other,
		driverPod("c", "lab/pmem-csi-driver:v1.1.0", corev1.ConditionFalse))
	inline := strings.ReplaceAll(deploytest.Inline, "driver.example", "other.example")
	got, features := probe(t, t.Context(), client, map[string]pmem.Platform{"a": lab, "b": lab}, deploytest.Load(t, "x/same", inline), deploytest.Load(t, "y/same", deploytest.Claim))
	for _, want := range []string{
		"cluster: nodes with the driver: 3 (",
		"driver driver.example: image: lab/pmem-csi-driver:v1.0.0; lab/pmem-csi-driver:v1.1.0 (pod pmem-csi/on-a, container pmem-driver, and the pods of 1 other nodes: image)",
		"driver driver.example: version: v1.1.0 (",
		"driver other.example: volume modes: unknown (",
		"deployment same: workload: Deployment (", "deployment same: workload: StatefulSet (",
		"node a: accelerator: TCG (", "node b: accelerator: TCG (",
		"node c: driver: unknown (no PMEM-CSI pod on node c is Ready: pmem-csi/on-c (Running))",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	want := spec.Support{Presence: spec.Supported, Evidence: "nodes with the driver that accept pods: 2 (a, b)"}
	if second := features[spec.SecondNode]; second != want {
		t.Errorf("second node %+v, want %+v", second, want)
	}
}

func TestSecondNode(t *testing.T) {
	cordoned := node("b")
	cordoned.Spec.Unschedulable = true
	listRefused := func(client *fake.Clientset, resource string) *fake.Clientset {
		client.PrependReactor("list", resource, func(ktesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("no"))
		})
		return client
	}
	onA, onB := driverPod("a", "d:1", corev1.ConditionTrue), driverPod("b", "d:1", corev1.ConditionTrue)
	for _, test := range []struct {
		name   string
		client *fake.Clientset
		want   spec.Presence
		why    string
	}{
		{"two", fake.NewClientset(node("a"), node("b"), onA, onB), spec.Supported, "2 (a, b)"},
		{"one", fake.NewClientset(node("a"), node("b"), onA), spec.Absent, "1 (a)"},
		{"the other is cordoned", fake.NewClientset(node("a"), cordoned, onA, onB), spec.Unseen, "1 (a); others: b"},
		{"the other is not ready", fake.NewClientset(node("a"), node("b"), onA, driverPod("b", "d:1", corev1.ConditionFalse)), spec.Unseen, "1 (a); others: b"},
		{"no list of nodes", listRefused(fake.NewClientset(node("a"), node("b"), onA, onB), "nodes"), spec.Unseen, "the nodes could not be listed"},
		{"no list of pods", listRefused(fake.NewClientset(node("a"), onA), "pods"), spec.Unseen, "forbidden"},
		{"no driver found", fake.NewClientset(node("a")), spec.Unseen, "no pod is labelled"},
	} {
		_, features := probe(t, t.Context(), test.client, map[string]pmem.Platform{"a": lab, "b": lab})
		got := features[spec.SecondNode]
		if got.Presence != test.want || !strings.Contains(got.Evidence, test.why) || (got.Remedy != "") != (test.want == spec.Unseen) {
			t.Errorf("%s: got %+v, want %s because of %s", test.name, got, test.want, test.why)
		}
	}
}
