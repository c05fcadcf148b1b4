package readiness

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/fake"

	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/lab/vm/standin"
	"pmem-memcached-e2e/framework/wait"
)

// running is a machine that runs, and who asks an API server that knows nothing
// of it.
func running(t *testing.T) (Checker, vm.Machine, *standin.Machine) {
	t.Helper()
	m := vm.Machine{Node: 1, Dir: state.Dir(filepath.Join(t.TempDir(), "test"))}
	m.Programs = process.Of(m.Dir, wait.Scale{})
	machine := standin.Start(t, m.Dir, m.Programs, m.Node)
	limits := map[wait.Name]time.Duration{wait.LabNode: 100 * time.Millisecond}
	return Checker{Client: fake.NewClientset(), Waiter: wait.Waiter{Interval: time.Millisecond, Limits: limits}, Progress: io.Discard}, m, machine
}

// A kernel that cannot come up ends the wait for its node; one that panicked
// in an earlier life does not.
func TestPanicsInARow(t *testing.T) {
	c, m, _ := running(t)
	console := m.Dir.Log("node1/console")
	panicked := []byte("[    1.0] Kernel panic - not syncing: VFS: Unable to mount root fs\n")
	for range panicLimit {
		if err := private.AppendFile(console, panicked); err != nil {
			t.Fatal(err)
		}
	}
	var timeout *wait.TimeoutError
	if err := c.AwaitNode(t.Context(), m, state.Node{}); !errors.As(err, &timeout) {
		t.Errorf("after old panics: %v", err)
	}
	begun := false
	c.Waiter.Begin = func(wait.Record) {
		for range panicLimit {
			if err := private.AppendFile(console, panicked); err != nil {
				t.Error(err)
			}
		}
		begun = true
	}
	var stopped *wait.StoppedError
	if err := c.AwaitNode(t.Context(), m, state.Node{}); !errors.As(err, &stopped) || !strings.Contains(err.Error(), "panicked 3 times in a row") || !begun {
		t.Errorf("after new panics: %v", err)
	}
}

// A node whose processor has lost its timer is reset, once for each time that its
// kernel says so.
func TestLostTimer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: run it without -short")
	}
	c, m, machine := running(t)
	c.Waiter.Limits[wait.LabNode] = time.Second // a probe may be slow
	hung := []byte("[   22.5] rcu: rcu_preempt kthread timer wakeup didn't happen for 15753 jiffies!\n")
	say := func() {
		if err := private.AppendFile(m.Dir.Log("node1/console"), hung); err != nil {
			t.Error(err)
		}
	}
	say()
	for want := range 2 {
		if want > 0 {
			c.Waiter.Begin = func(wait.Record) { say() }
		}
		var timeout *wait.TimeoutError
		if err := c.AwaitNode(t.Context(), m, state.Node{}); !errors.As(err, &timeout) {
			t.Errorf("the node never comes: %v", err)
		}
		if got := machine.Resets(); got != want {
			t.Errorf("reset %d times, want %d", got, want)
		}
	}
}

// What the API server still has of a node from before its latest start is not
// taken for the node's, and pods that ended with it are not waited for.
func TestOldStateIsNoNews(t *testing.T) {
	c, m, _ := running(t)
	const n = topology.Node(1)
	ready := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name()}, Status: corev1.NodeStatus{
		NodeInfo:   corev1.NodeSystemInfo{BootID: "first"},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
	}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "driver", Namespace: pmemcsi.Namespace, Labels: map[string]string{pmemcsi.PodLabel: pmemcsi.NodePod}},
		Spec:       corev1.PodSpec{NodeName: n.Name()},
		Status: corev1.PodStatus{
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{ContainerID: "containerd://1"}},
		},
	}
	capacity := resource.MustParse("1Gi")
	client := fake.NewClientset(ready, pod,
		&storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: n.Name()}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: pmemcsi.Name}}}},
		&storagev1.CSIStorageCapacity{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: pmemcsi.Namespace}, Capacity: &capacity,
			NodeTopology: &metav1.LabelSelector{MatchLabels: map[string]string{pmemcsi.NodeLabel: n.Name()}}},
	)
	c.Client = client
	if err := c.AwaitNode(t.Context(), m, state.Node{}); err != nil {
		t.Errorf("before any restart: %v", err)
	}
	before, err := c.Seen(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitNode(t.Context(), m, before); err == nil || !strings.Contains(err.Error(), "nothing of the node since it started") {
		t.Errorf("the same boot: %v", err)
	}
	if ok, seen, err := driverState(t.Context(), client, n.Name(), before); ok || err != nil || !strings.Contains(seen, "driver has not started again") {
		t.Errorf("the same containers: %v %s %v", ok, seen, err)
	}
	ready.Status.NodeInfo.BootID, pod.Status.ContainerStatuses[0].ContainerID = "second", "containerd://2"
	if err := errors.Join(client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("nodes"), ready, ""), client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), pod, pmemcsi.Namespace)); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitNode(t.Context(), m, before); err != nil {
		t.Errorf("another boot: %v", err)
	}
	if ok, seen, err := driverState(t.Context(), client, n.Name(), before); !ok || err != nil {
		t.Errorf("another container: %v %s %v", ok, seen, err)
	}
	if ok, seen, err := driverState(t.Context(), client, topology.Node(2).Name(), state.Node{}); ok {
		t.Errorf("another node: %v %s %v", ok, seen, err)
	}
	finished := pod.DeepCopy()
	finished.Name, finished.Status.Phase = "before-shutdown", corev1.PodFailed
	if err := client.Tracker().Add(finished); err != nil {
		t.Fatal(err)
	}
	if ok, seen, err := driverState(t.Context(), client, n.Name(), before); !ok || err != nil {
		t.Errorf("a pod that ended with the shutdown: %v %s %v", ok, seen, err)
	}
	waiting := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "dns", Namespace: metav1.NamespaceSystem}, Status: corev1.PodStatus{Phase: corev1.PodPending}}
	if err := client.Tracker().Add(waiting); err != nil {
		t.Fatal(err)
	}
	if ok, seen, err := driverState(t.Context(), client, n.Name(), before); ok || err != nil || !strings.Contains(seen, "dns Pending") {
		t.Errorf("a pod that has no node yet: %v %s %v", ok, seen, err)
	}
	if err := client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), waiting.Namespace, waiting.Name); err != nil {
		t.Fatal(err)
	}
	if err := client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), pod.Namespace, pod.Name); err != nil {
		t.Fatal(err)
	}
	if ok, seen, err := driverState(t.Context(), client, n.Name(), before); ok || err != nil || !strings.Contains(seen, "no pod of it") {
		t.Errorf("only a pod that ended with the shutdown: %v %s %v", ok, seen, err)
	}
}

func TestQuestion(t *testing.T) {
	ask := func(path string, port intstr.IntOrString) *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: port}}}
	}
	ports := []corev1.ContainerPort{{Name: "metrics", ContainerPort: 10010}}
	for _, c := range []struct {
		name       string
		container  corev1.Container
		port, path string
	}{
		{"no probe", corev1.Container{Ports: ports}, "", ""},
		{"no HTTP", corev1.Container{ReadinessProbe: &corev1.Probe{}}, "", ""},
		{"by number", corev1.Container{ReadinessProbe: ask("/ready", intstr.FromInt32(8181))}, "8181", "ready"},
		{"by name", corev1.Container{StartupProbe: ask("/metrics/simple", intstr.FromString("metrics")), Ports: ports}, "10010", "metrics/simple"},
		{"readiness first", corev1.Container{ReadinessProbe: ask("/a", intstr.FromInt32(1)), StartupProbe: ask("/b", intstr.FromInt32(2))}, "1", "a"},
	} {
		if port, path := question(c.container); port != c.port || path != c.path {
			t.Errorf("%s: port %q path %q, want %q %q", c.name, port, path, c.port, c.path)
		}
	}
}
