package lab

import (
	"errors"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/nodeshell"
	"pmem-memcached-e2e/framework/lab/power"
	"pmem-memcached-e2e/framework/lab/state"
)

func TestShellNeedsNode(t *testing.T) {
	l := testLab(t)
	if _, err := l.Shell(t.Context(), "node1", nodeshell.Session{}); err == nil || !strings.Contains(err.Error(), "make lab-up") {
		t.Errorf("without a lab: %v", err)
	}
	if err := l.state.Change(func(s *state.State) { s.Plan.Nodes = 1 }); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Shell(t.Context(), "node2", nodeshell.Session{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("of an unknown node: %v", err)
	}
	if err := l.state.ChangeNode(1, func(n *state.Node) { n.Off = true }); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Shell(t.Context(), "node1", nodeshell.Session{}); !errors.Is(err, power.ErrState) || !strings.Contains(err.Error(), "off") {
		t.Errorf("of a node that is off: %v", err)
	}
}
