package lab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/wait"
)

// TestMain lets the test's executable serve as the forwarder and as a user's
// command.
func TestMain(m *testing.M) {
	RunProgram()
	takeStep()
	ownLab()
	os.Exit(m.Run())
}

func testLab(t *testing.T) *Lab {
	t.Helper()
	l, err := New(Options{Name: "test", CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	l.dir = state.Dir(filepath.Join(t.TempDir(), "test"))
	l.programs = process.Of(l.dir, wait.Scale{})
	l.memory = filepath.Join(t.TempDir(), "memory")
	l.plan = l.opts.planned(0, 1)
	return l
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		opts Options
		want []string
	}{
		{Options{Name: "Upper"}, []string{`"Upper"`, "LAB_NAME"}},
		{Options{Name: "../escape"}, []string{`"../escape"`, "LAB_NAME"}},
		{Options{Name: "much-too-long-a-name"}, []string{"much-too-long-a-name", "12"}},
		{Options{Port: 70000}, []string{"70000", "LAB_PORT"}},
		{Options{Port: -1}, []string{"-1", "LAB_PORT"}},
		{Options{Nodes: -1}, []string{"-1", "LAB_NODES", "4"}},
		{Options{Nodes: 5}, []string{"5", "LAB_NODES", "4"}},
		{Options{PMEM: 1000}, []string{"1000", "LAB_PMEM", "128"}},
		{Options{PMEM: 384}, []string{"384", "LAB_PMEM", "512"}},
		{Options{PMEM: 65536}, []string{"65536", "LAB_PMEM", "32768"}},
	} {
		_, err := New(c.opts)
		for _, w := range c.want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("New(%+v): %v, want an error with %q", c.opts, err, w)
			}
		}
	}
}

func TestStatusErr(t *testing.T) {
	all := map[string]int{}
	for i, p := range programs {
		all[p] = i + 1
	}
	running, off, lost1 := NodeStatus{Name: "node1", Power: Running}, NodeStatus{Name: "node2", Power: Down}, NodeStatus{Name: "node3", Power: Lost}
	lost := map[string]int{"etcd": 1}
	for _, c := range []struct {
		name   string
		status Status
		want   string
	}{
		{"nothing", Status{Name: "a"}, "not there"},
		{"unfinished", Status{Name: "a", Dir: "/d", Processes: lost}, "not brought up to the end"},
		{"lost", Status{Name: "a", Dir: "/d", Ready: true, Processes: lost}, "lost kube-apiserver"},
		{"node", Status{Name: "a", Dir: "/d", Ready: true, Processes: all, Nodes: []NodeStatus{running, off, lost1}}, "lost node3"},
		{"node off", Status{Name: "a", Dir: "/d", Ready: true, Processes: all, Nodes: []NodeStatus{running, off}}, ""},
		{"memory", Status{Name: "a", Memory: "/m"}, "not brought up to the end"},
		{"up", Status{Name: "a", Dir: "/d", Ready: true, Processes: all}, ""},
	} {
		err := c.status.Err()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if (err == nil) != c.status.up() {
			t.Errorf("%s: up() = %v and Err() = %v", c.name, c.status.up(), err)
		}
	}
}

func TestLockIsExclusive(t *testing.T) {
	l := testLab(t)
	unlock, err := l.lock()
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.lock()
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) || !strings.Contains(err.Error(), "LAB_NAME") {
		t.Errorf("second lock: %v, want an error with the holder and LAB_NAME", err)
	}
	unlock()
	unlock, err = l.lock()
	if err != nil {
		t.Errorf("after unlock: %v", err)
	} else {
		unlock()
	}
	if _, err := os.Stat(string(l.dir) + ".lock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the lock's file is still there: %v", err)
	}
}

func TestKeys(t *testing.T) {
	l := testLab(t)
	if err := l.makeKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(l.dir.Key("*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("keys: %v, %v", files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", filepath.Base(f), info.Mode().Perm())
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", l.dir.Key("admin.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://"+topology.APIAddress || len(config.KeyData) == 0 || len(config.CAData) == 0 || config.Insecure {
		t.Errorf("kubeconfig: host %s, insecure %v", config.Host, config.Insecure)
	}
}

func TestLabImages(t *testing.T) {
	daemons := &appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Name: "driver", Image: "intel/pmem-csi-driver:v1.1.0"},
		{Name: "provisioner", Image: "registry.k8s.io/sig-storage/csi-provisioner:v3.2.1"},
	}}}}}
	if err := useLabImages(daemons); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{artifact.DriverImage.Reference(), artifact.ProvisionerImage.Reference()} {
		if got := daemons.Spec.Template.Spec.Containers[i].Image; got != want {
			t.Errorf("image = %s, want %s", got, want)
		}
	}
	daemons.Spec.Template.Spec.Containers[0].Image = "example.org/unknown:1"
	if err := useLabImages(daemons); err == nil || !strings.Contains(err.Error(), "example.org/unknown:1") {
		t.Errorf("unknown image: %v", err)
	}
}

// The forwarder carries both ways and passes on the end of each.
func TestForward(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	go func() {
		conn, err := target.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		said, _ := io.ReadAll(conn)
		fmt.Fprintf(conn, "heard %s", said)
	}()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := front.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer front.Close()
	go forward(file, target.Addr().String())

	conn, err := net.DialTimeout("tcp", front.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, "words"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != "heard words" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	l := testLab(t)
	l.opts.Port = taken.Addr().(*net.TCPAddr).Port
	if err := l.startForwarder(); err == nil || !strings.Contains(err.Error(), "LAB_PORT") {
		t.Errorf("err = %v, want one that names LAB_PORT", err)
	}
}

func TestChooseAcceleratorRefuses(t *testing.T) {
	l := testLab(t)
	l.opts.Accel = "warp"
	err := l.chooseAccelerator(t.Context())
	if err == nil || !strings.Contains(err.Error(), "LAB_ACCEL=warp") {
		t.Errorf("err = %v", err)
	}
}
