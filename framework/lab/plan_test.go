package lab

import (
	"errors"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/lab/state"
)

func TestPlannedNodes(t *testing.T) {
	two, _ := needs(state.Plan{Nodes: 2, PMEM: lessPMEM})
	for _, c := range []struct{ given, available, processors, want int }{
		{0, two, 4, 2}, {0, two - 1, 4, 1}, {0, two, 3, 1}, {1, two, 4, 1}, {2, 0, 1, 2}, {4, two, 2, 4},
	} {
		if got := (Options{Machines: Machines{Nodes: c.given}}).planned(c.available, c.processors); got.Nodes != c.want {
			t.Errorf("LAB_NODES=%d, %d MiB and %d processors: %d nodes, want %d", c.given, c.available, c.processors, got.Nodes, c.want)
		}
	}
}

func TestPlannedMemory(t *testing.T) {
	need := func(nodes, pmem int) int {
		mib, _ := needs(state.Plan{Nodes: nodes, PMEM: pmem})
		return mib
	}
	for _, c := range []struct{ nodes, pmem, available, wantNodes, wantPMEM int }{
		{0, 0, need(2, defaultPMEM), 2, defaultPMEM},
		{0, 0, need(2, defaultPMEM) - 1, 2, lessPMEM},
		{0, 0, need(2, lessPMEM) - 1, 1, defaultPMEM},
		{0, 0, need(1, defaultPMEM) - 1, 1, lessPMEM},
		{0, 0, 0, 1, lessPMEM},
		{0, 4096, need(2, lessPMEM), 1, 4096},
		{2, 0, need(2, lessPMEM), 2, lessPMEM},
		{2, 4096, 0, 2, 4096},
	} {
		got := Options{Machines: Machines{Nodes: c.nodes, PMEM: c.pmem}}.planned(c.available, defaultProcessors)
		if got.Nodes != c.wantNodes || got.PMEM != c.wantPMEM {
			t.Errorf("LAB_NODES=%d LAB_PMEM=%d with %d MiB: %d nodes with %d MiB each, want %d with %d", c.nodes, c.pmem, c.available, got.Nodes, got.PMEM, c.wantNodes, c.wantPMEM)
		}
	}
}

func TestEnough(t *testing.T) {
	for _, c := range []struct {
		plan      state.Plan
		available int
		want      string
	}{
		{state.Plan{Nodes: 1, PMEM: 2048}, 7488, ""},
		{state.Plan{Nodes: 1, PMEM: 2048}, 7487, "it has 7487 MiB of memory available, and LAB_NODES=1 LAB_PMEM=2048 need 7488 MiB"},
		{state.Plan{Nodes: 4, PMEM: 2048}, 20000, "need 23808 MiB: 2048 MiB for the control plane and the suite, and for each of 4 nodes 3072 MiB of main memory, 2048 MiB of persistent memory"},
	} {
		err := enough(c.plan, c.available)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, ErrHost) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v with %d MiB: %v, want %q", c.plan, c.available, err, c.want)
		}
	}
}

func TestDiffers(t *testing.T) {
	two := state.Plan{Nodes: 2, PMEM: 1024, Driver: pmemcsi.LVM}
	for _, c := range []struct {
		opts Options
		want []string
	}{
		{Options{}, nil},
		{Options{Machines: Machines{Nodes: 2, PMEM: 1024}}, nil},
		{Options{Machines: Machines{Nodes: 1}}, []string{"LAB_NODES=1, but it has 2", "make lab-down", "LAB_NAME"}},
		{Options{Driver: pmemcsi.LVM}, nil},
		{Options{Driver: pmemcsi.Direct}, []string{"LAB_DRIVER=direct, but its driver is in mode lvm"}},
		{Options{Machines: Machines{Nodes: 3, PMEM: 2048}}, []string{"LAB_NODES=3, but it has 2", "LAB_PMEM=2048, but its nodes have 1024 MiB"}},
	} {
		err := c.opts.differs(two)
		if (err == nil) != (c.want == nil) || err != nil && !errors.Is(err, ErrDiffers) {
			t.Errorf("%+v: %v", c.opts, err)
		}
		for _, want := range c.want {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q in it", c.opts, err, want)
			}
		}
	}
}
