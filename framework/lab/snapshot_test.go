package lab

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/progress"
)

func TestSnapshotKey(t *testing.T) {
	store, err := artifact.Open(t.TempDir(), progress.Lines(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	qemu := "QEMU emulator version 10.0.8"
	path := func(change func(*Lab)) string {
		t.Helper()
		l := testLab(t)
		l.plan.Accel = "tcg"
		l.parts = &artifact.Parts{Kubernetes: "/cache/kubernetes", Etcd: "/cache/etcd", Directories: []string{"/cache/disk-1"}}
		change(l)
		a, err := l.snapshotBy(qemu)
		if err != nil {
			t.Fatal(err)
		}
		return store.Path(a)
	}
	same := path(func(*Lab) {})
	for name, change := range map[string]func(*Lab){
		"name":      func(l *Lab) { l.opts.Name = "other" },
		"directory": func(l *Lab) { l.dir = "/elsewhere" },
		"memory":    func(l *Lab) { l.plan.Memory = "/elsewhere" },
		"port":      func(l *Lab) { l.opts.Port = 1234 },
	} {
		if path(change) != same {
			t.Errorf("%s: another snapshot for a lab of the same kind", name)
		}
	}
	for name, change := range map[string]func(*Lab){
		"nodes":       func(l *Lab) { l.plan.Nodes = 2 },
		"pmem":        func(l *Lab) { l.plan.PMEM = 1024 },
		"accelerator": func(l *Lab) { l.plan.Accel = "kvm" },
		"kubernetes":  func(l *Lab) { l.parts.Kubernetes = "/cache/older" },
		"disk":        func(l *Lab) { l.parts.Directories = []string{"/cache/disk-2"} },
	} {
		if path(change) == same {
			t.Errorf("%s: the same snapshot for a lab of another kind", name)
		}
	}
	qemu = "QEMU emulator version 7.2.22"
	if path(func(*Lab) {}) == same {
		t.Error("the same snapshot for another QEMU")
	}
}

func TestSnapshotIsOlderThanItsKeysBear(t *testing.T) {
	if snapshotLife > keyLife/2 {
		t.Errorf("a snapshot is used for %s and its keys are valid for %s: a lab from it would have less than half of that", snapshotLife, keyLife)
	}
}

func TestOpenConnections(t *testing.T) {
	const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	for _, c := range []struct {
		name, lines string
		want        int
	}{
		{"none", "", 0},
		{"listens", "   0: 0100001EAC:192B 00000000:0000 0A 0 0\n", 0},
		{"established", "   0: 01001EAC:192B 0B001EAC:C350 01 0 0\n", 1},
		{"other end has not closed", "   0: 01001EAC:192B 0B001EAC:C350 05 0 0\n   1: 01001EAC:192B 0B001EAC:C351 04 0 0\n", 2},
		{"closed by both", "   0: 01001EAC:192B 0B001EAC:C350 06 0 0\n", 0},
		{"etcd", "   0: 0100007F:094B 0100007F:8A2C 01 0 0\n", 0},
		{"the client's end", "   0: 0100007F:8A2C 01001EAC:192B 01 0 0\n", 0},
	} {
		path := filepath.Join(t.TempDir(), "tcp")
		if err := os.WriteFile(path, []byte(header+c.lines), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := openConnections(path); got != c.want || err != nil {
			t.Errorf("%s: %d connections (%v), want %d", c.name, got, err, c.want)
		}
	}
	if _, err := openConnections(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file: no error")
	}
}

func TestMainMemory(t *testing.T) {
	for _, c := range []struct {
		memory mainMemory
		want   string
	}{
		{mainMemory{}, "memory-backend-ram,id=dram,size=3072M"},
		{mainMemory{dir: "/m"}, "memory-backend-file,id=dram,size=3072M,share=on,mem-path=/m/node2.dram"},
		{mainMemory{dir: "/m", private: true}, "memory-backend-file,id=dram,size=3072M,share=off,mem-path=/m/node2.dram"},
	} {
		if got := c.memory.object(2); got != c.want {
			t.Errorf("%+v: %s, want %s", c.memory, got, c.want)
		}
	}
}

func TestClock(t *testing.T) {
	l := testLab(t)
	if err := os.MkdirAll(l.dir.Node(1), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a node that starts again has the pipes
		if err := l.makeClock(1); err != nil {
			t.Fatal(err)
		}
	}
	// As QEMU opens it.
	end, err := os.OpenFile(l.dir.Node(1, clockPipe+".in"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	before := time.Now()
	if err := l.setClock(1); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	n, err := end.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	seconds, _, _ := strings.Cut(string(line[:n]), ".")
	if got, err := time.ParseDuration(seconds + "s"); err != nil || time.Unix(int64(got.Seconds()), 0).Before(before.Truncate(time.Second)) {
		t.Errorf("the clock is set to %q (%v) at %d", line[:n], err, before.Unix())
	}
	if err := l.setClock(2); err == nil || !strings.Contains(err.Error(), "node2") {
		t.Errorf("a node without the pipe: %v", err)
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
