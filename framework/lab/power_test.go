package lab

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/wait"
)

// machine stands in for the virtual machine of a node: a process with the
// mark, and a monitor.
type machine struct {
	process *os.Process
	ended   chan struct{}

	mu      sync.Mutex
	running bool
	deaf    bool // to the power button
	resets  int
}

// poweredLab is a lab of two nodes that was brought up, and its node1.
func poweredLab(t *testing.T) (*Lab, *machine) {
	t.Helper()
	l := testLab(t)
	l.plan = plan{Nodes: 2, PMEM: 512}
	l.wait.Interval = time.Millisecond
	l.wait.Limits = map[wait.Name]time.Duration{wait.LabLock: 100 * time.Millisecond, wait.LabNode: 100 * time.Millisecond}
	if err := errors.Join(l.writePlan(), private.WriteFile(l.dir.Path(readyMark), nil), private.WriteFile(l.dir.Node(1, "x"), nil)); err != nil {
		t.Fatal(err)
	}
	cmd := sleeper(t, l, "node1")
	m := &machine{process: cmd.Process, running: true, ended: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(m.ended)
	}()
	t.Cleanup(func() {
		m.process.Kill()
		<-m.ended
	})
	listener, err := net.Listen("unix", l.dir.Node(1, monitorFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			m.serve(conn)
		}
	}()
	return l, m
}

func (m *machine) serve(conn net.Conn) {
	defer conn.Close()
	fmt.Fprintln(conn, `{"QMP": {}}`)
	for s := bufio.NewScanner(conn); s.Scan(); {
		var command struct{ Execute string }
		json.Unmarshal(s.Bytes(), &command)
		m.mu.Lock()
		answer := "{}"
		switch command.Execute {
		case "query-status":
			answer = fmt.Sprintf(`{"running": %v, "status": "any"}`, m.running)
		case "stop":
			m.running = false
		case "cont":
			m.running = true
		case "system_reset":
			m.resets++
		case "system_powerdown":
			if !m.deaf {
				m.process.Kill()
			}
		}
		m.mu.Unlock()
		fmt.Fprintf(conn, `{"return": %s}`+"\n", answer)
	}
}

func (l *Lab) expectPower(t *testing.T, want Power) {
	t.Helper()
	if got := l.Status(t.Context()).Nodes[0].Power; got != want {
		t.Errorf("node1 is %s, want %s", got, want)
	}
}

func TestPower(t *testing.T) {
	for _, end := range []Action{Off, Cut} {
		t.Run(string(end), func(t *testing.T) {
			l, m := poweredLab(t)
			for _, step := range []struct {
				action Action
				want   Power
			}{
				{Resume, Running}, {Pause, Paused}, {Pause, Paused}, {Resume, Running}, {end, Down}, {end, Down},
			} {
				if err := l.Power(t.Context(), "node1", step.action); err != nil {
					t.Fatalf("%s: %v", step.action, err)
				}
				l.expectPower(t, step.want)
			}
			<-m.ended
			for _, never := range []Action{Pause, Resume} {
				if err := l.Power(t.Context(), "node1", never); !errors.Is(err, ErrPower) || !strings.Contains(err.Error(), "off") {
					t.Errorf("%s of a node that is off: %v", never, err)
				}
			}
		})
	}
}

// A paused node has power and can lose it, but hears no button.
func TestPowerOfAPausedNode(t *testing.T) {
	l, _ := poweredLab(t)
	if err := l.Power(t.Context(), "node1", Pause); err != nil {
		t.Fatal(err)
	}
	if err := l.Power(t.Context(), "node1", Off); !errors.Is(err, ErrPower) || !strings.Contains(err.Error(), "paused") {
		t.Errorf("off: %v", err)
	}
	if err := l.Power(t.Context(), "node1", Cut); err != nil {
		t.Errorf("cut: %v", err)
	}
	l.expectPower(t, Down)
}

func TestANodeThatDoesNotShutDown(t *testing.T) {
	l, m := poweredLab(t)
	m.deaf = true
	l.wait.Limits[wait.LabShutdown] = 100 * time.Millisecond
	if err := private.AppendFile(l.dir.Log("node1/console"), []byte("stopping something\n")); err != nil {
		t.Fatal(err)
	}
	err := l.Power(t.Context(), "node1", Off)
	for _, want := range []string{"node1 off", "waited 100ms for node1 to shut down", fmt.Sprint("process ", m.process.Pid), "stopping something", "cut ends it"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q in it", err, want)
		}
	}
	l.expectPower(t, Running)
	m.process.Kill()
	<-m.ended
	l.expectPower(t, Down)
}

func TestANodeThatEndsByItself(t *testing.T) {
	l, m := poweredLab(t)
	m.process.Kill()
	<-m.ended
	l.expectPower(t, Lost)
	if err := l.Status(t.Context()).Err(); err == nil || !strings.Contains(err.Error(), "node1") {
		t.Errorf("status: %v", err)
	}
	if err := l.Power(t.Context(), "node1", Off); !errors.Is(err, ErrPower) || !strings.Contains(err.Error(), "lost") {
		t.Errorf("off: %v", err)
	}
}

func TestPowerRefuses(t *testing.T) {
	l, _ := poweredLab(t)
	for _, c := range []struct {
		node   string
		action Action
		want   string
	}{
		{"node3", Cut, `no node "node3": it has node1, node2`},
		{"", Cut, `no node ""`},
		{"node1", "explode", `"explode": want one of ["off" "cut" "on" "reboot" "pause" "resume"]`},
	} {
		if err := l.Power(t.Context(), c.node, c.action); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.node, c.action, err, c.want)
		}
	}
	unlock, err := l.lock()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Power(t.Context(), "node1", Cut); err == nil || !strings.Contains(err.Error(), "being changed by another command") {
		t.Errorf("while another command changes the lab: %v", err)
	}
	unlock()
	if err := testLab(t).Power(t.Context(), "node1", Cut); err == nil || !strings.Contains(err.Error(), "not there") {
		t.Errorf("lab that is not there: %v", err)
	}
}

// What the API server still has of a node from before its latest start is not
// taken for the node's.
func TestOldStateIsNoNews(t *testing.T) {
	l, _ := poweredLab(t)
	const n = topology.Node(1)
	ready := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name()}, Status: corev1.NodeStatus{
		NodeInfo:   corev1.NodeSystemInfo{BootID: "first"},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
	}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "driver", Namespace: driverNamespace},
		Spec:       corev1.PodSpec{NodeName: n.Name()},
		Status: corev1.PodStatus{
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{ContainerID: "containerd://1"}},
		},
	}
	capacity := resource.MustParse("1Gi")
	client := fake.NewClientset(ready, pod,
		&storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: n.Name()}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: driverName}}}},
		&storagev1.CSIStorageCapacity{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: driverNamespace}, Capacity: &capacity,
			NodeTopology: &metav1.LabelSelector{MatchLabels: map[string]string{driverName + "/node": n.Name()}}},
	)
	if err := l.awaitNode(t.Context(), client, n); err != nil {
		t.Errorf("before any restart: %v", err)
	}
	before, err := seenBefore(t.Context(), client, n)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.record(n, func(r *nodeRecord) { *r = before }); err != nil {
		t.Fatal(err)
	}
	if err := l.awaitNode(t.Context(), client, n); err == nil || !strings.Contains(err.Error(), "nothing of the node since it started") {
		t.Errorf("the same boot: %v", err)
	}
	if ok, seen, err := driverState(t.Context(), client, n, before); ok || err != nil || !strings.Contains(seen, "driver has not started again") {
		t.Errorf("the same containers: %v %s %v", ok, seen, err)
	}
	ready.Status.NodeInfo.BootID, pod.Status.ContainerStatuses[0].ContainerID = "second", "containerd://2"
	if err := errors.Join(client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("nodes"), ready, ""), client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), pod, driverNamespace)); err != nil {
		t.Fatal(err)
	}
	if err := l.awaitNode(t.Context(), client, n); err != nil {
		t.Errorf("another boot: %v", err)
	}
	if ok, seen, err := driverState(t.Context(), client, n, before); !ok || err != nil {
		t.Errorf("another container: %v %s %v", ok, seen, err)
	}
	if ok, seen, err := driverState(t.Context(), client, 2, nodeRecord{}); ok {
		t.Errorf("another node: %v %s %v", ok, seen, err)
	}
}

func TestPMEMFiles(t *testing.T) {
	l := testLab(t)
	l.plan = plan{Nodes: 2, PMEM: 512}
	if err := errors.Join(l.chooseMemory(t.Context()), l.makeMemory()); err != nil {
		t.Fatal(err)
	}
	for _, n := range l.plan.nodes() {
		info, err := os.Stat(l.pmemFile(n))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != 512<<20 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has %d bytes and mode %o", l.pmemFile(n), info.Size(), info.Mode().Perm())
		}
	}
	l.plan.PMEM = 1 << 40
	if err := l.chooseMemory(t.Context()); !errors.Is(err, ErrHost) || !strings.Contains(err.Error(), "LAB_PMEM") {
		t.Errorf("more than any host has: %v", err)
	}
}
