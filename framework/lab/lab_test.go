package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/vm"
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
	l.programs, l.state = process.Of(l.dir, wait.Scale{}), state.Of(l.dir)
	l.memory = filepath.Join(t.TempDir(), "memory")
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
		{Options{Machines: Machines{Nodes: -1}}, []string{"-1", "LAB_NODES", "4"}},
		{Options{Machines: Machines{Nodes: 5}}, []string{"5", "LAB_NODES", "4"}},
		{Options{Machines: Machines{PMEM: 1000}}, []string{"1000", "LAB_PMEM", "128"}},
		{Options{Machines: Machines{PMEM: 384}}, []string{"384", "LAB_PMEM", "512"}},
		{Options{Driver: "fake"}, []string{"fake", "LAB_DRIVER"}},
		{Options{Machines: Machines{PMEM: 65536}}, []string{"65536", "LAB_PMEM", "32768"}},
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
	for i, p := range plane.Programs {
		all[p] = i + 1
	}
	running, off, lost1 := NodeStatus{Name: "node1", Power: vm.Running}, NodeStatus{Name: "node2", Power: vm.Off}, NodeStatus{Name: "node3", Power: vm.Lost}
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
	unlock, err := l.dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.dir.Lock()
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) || !strings.Contains(err.Error(), "LAB_NAME") {
		t.Errorf("second lock: %v, want an error with the holder and LAB_NAME", err)
	}
	unlock()
	unlock, err = l.dir.Lock()
	if err != nil {
		t.Errorf("after unlock: %v", err)
	} else {
		unlock()
	}
	if _, err := os.Stat(string(l.dir) + ".lock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the lock's file is still there: %v", err)
	}
}
