package lab

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/host"
	"pmem-memcached-e2e/framework/lab/nodeshell"
	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/state"
)

func TestShellPortIsForOneSession(t *testing.T) {
	l := testLab(t)
	if _, _, err := l.shellPort(1); err == nil || !strings.Contains(err.Error(), "earlier revision") {
		t.Errorf("without ports: %v", err)
	}
	for _, port := range shellPorts {
		if err := private.WriteFile(l.dir.Node(1, port+".sock"), nil); err != nil {
			t.Fatal(err)
		}
	}
	var last func()
	taken := map[string]bool{}
	for range shellPorts {
		path, unlock, err := l.shellPort(1)
		if err != nil || taken[path] {
			t.Fatalf("%s is taken twice, or %v", path, err)
		}
		taken[path], last = true, unlock
	}
	if _, _, err := l.shellPort(1); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("one session too many: %v", err)
	}
	last()
	if _, unlock, err := l.shellPort(1); err != nil {
		t.Errorf("after one has ended: %v", err)
	} else {
		unlock()
	}
}

func TestShellNeedsNode(t *testing.T) {
	l := testLab(t)
	if _, err := l.Shell(t.Context(), "node1", nodeshell.Session{}); err == nil || !strings.Contains(err.Error(), "make lab-up") {
		t.Errorf("without a lab: %v", err)
	}
	l.plan.Nodes = 1
	if err := l.writePlan(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Shell(t.Context(), "node2", nodeshell.Session{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("of an unknown node: %v", err)
	}
	if err := l.record(1, func(r *nodeRecord) { r.Off = true }); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Shell(t.Context(), "node1", nodeshell.Session{}); !errors.Is(err, ErrPower) || !strings.Contains(err.Error(), "off") {
		t.Errorf("of a node that is off: %v", err)
	}
}

// The sockets of a node are the ports of its machine, and their paths are short
// enough.
func TestShellArguments(t *testing.T) {
	l := testLab(t)
	l.dir = state.Dir(filepath.Join(host.StateDir(), "123456789012"))
	args := strings.Join(l.shellArguments(maxNodes), " ")
	for _, port := range shellPorts {
		path := l.dir.Node(maxNodes, port+".sock")
		if !strings.Contains(args, "path="+path) || len(path) > 107 {
			t.Errorf("%s is too long or not in %s", path, args)
		}
	}
}
