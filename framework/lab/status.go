package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"

	"pmem-memcached-e2e/framework/lab/details"
	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/vm"
)

// Status is what there is of a lab.
type Status struct {
	Name string
	// Ready says that Up came to its end.
	Ready bool
	// Processes maps the names of the programs that run to process ids. The
	// virtual machine of a node has the node's name.
	Processes map[string]int
	// Nodes are those that the lab was made with, in order.
	Nodes []NodeStatus
	// Snapshot is the directory of the snapshot that the lab came from, empty
	// if it started from nothing.
	Snapshot string
	// Dir is the state directory and Memory that of the nodes' persistent
	// memory, empty if there is none.
	Dir, Memory string

	// known is what is written down of the lab, and unknown why it cannot be
	// read.
	known   state.State
	unknown error
}

// NodeStatus is what a node has.
type NodeStatus struct {
	Name, Address string
	// PMEM is the size of its persistent memory in MiB.
	PMEM  int
	Power vm.Power
}

func (s Status) present() bool {
	return len(s.Processes) > 0 || s.Dir != "" || s.Memory != ""
}

func (s Status) up() bool { return s.Err() == nil }

func (s Status) missing() []string {
	var names []string
	for _, name := range plane.Programs {
		if _, ok := s.Processes[name]; !ok {
			names = append(names, name)
		}
	}
	for _, n := range s.Nodes {
		if n.Power == vm.Lost {
			names = append(names, n.Name)
		}
	}
	return names
}

// Err returns nil if the lab is up, and otherwise what is wrong with it.
func (s Status) Err() error {
	switch {
	case !s.present():
		return fmt.Errorf("lab %s is not there: bring it up with make lab-up", s.Name)
	case s.unknown != nil:
		return s.unknown
	case !s.Ready:
		return fmt.Errorf("lab %s was not brought up to the end: make lab-up starts it again, make lab-down removes it", s.Name)
	case len(s.missing()) > 0:
		return s.lost()
	}
	return nil
}

// lost describes what ended that should not have, and how.
func (s Status) lost() error {
	var b strings.Builder
	fmt.Fprintf(&b, "lab %s lost %s: make lab-up starts it again, make lab-down removes it; a node alone is started by lab power NODE on", s.Name, strings.Join(s.missing(), ", "))
	for _, name := range s.missing() {
		fmt.Fprintf(&b, "\nthe end of the log of %s:\n%s", name, process.LogTail(state.Dir(s.Dir).Log(name), 8))
	}
	return errors.New(b.String())
}

// String describes the lab in a few lines.
func (s Status) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "lab        %s\n", s.Name)
	fmt.Fprintf(&b, "state      %s\n", orNone(s.Dir))
	if s.Snapshot != "" {
		fmt.Fprintf(&b, "snapshot   %s\n", s.Snapshot)
	}
	for _, n := range s.Nodes {
		fmt.Fprintf(&b, "node       %-24s %s, %s, %d MiB of persistent memory\n", n.Name, n.Power, n.Address, n.PMEM)
	}
	names := make([]string, 0, len(s.Processes))
	for name := range s.Processes {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(&b, "process    %-24s %d\n", name, s.Processes[name])
	}
	return b.String()
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// Status returns what there is of the lab.
func (l *Lab) Status(ctx context.Context) Status {
	s := l.inspect()
	for i, m := range l.machines(s.known.Plan, vm.MainMemory{}) {
		if s.Nodes[i].Power == vm.Running {
			s.Nodes[i].Power = l.power().Of(ctx, m)
		}
	}
	return s
}

// inspect is Status, but takes nodes that are paused for running ones.
func (l *Lab) inspect() Status {
	s := Status{Name: l.opts.Name, Processes: map[string]int{}}
	for _, p := range l.programs.List() {
		s.Processes[p.Name] = p.PID
	}
	if _, err := os.Stat(string(l.dir)); err == nil {
		s.Dir = string(l.dir)
	}
	if _, err := os.Stat(l.memory); err == nil {
		s.Memory = l.memory
	}
	s.known, s.unknown = l.state.Read()
	s.Ready, s.Snapshot = s.known.Ready, s.known.Plan.Snapshot
	for _, n := range s.known.Plan.All() {
		node := NodeStatus{Name: n.Name(), Address: n.Address(), PMEM: s.known.Plan.PMEM, Power: vm.Running}
		if _, runs := s.Processes[n.Name()]; !runs {
			node.Power = vm.Ended(s.known.Nodes[n.Name()])
		}
		s.Nodes = append(s.Nodes, node)
	}
	return s
}

// Details asks a lab of that status for its details.
func (l *Lab) Details(ctx context.Context, s Status) details.Details {
	var states []vm.Power
	for _, n := range s.Nodes {
		states = append(states, n.Power)
	}
	return details.Of(ctx, l.state, l.machines(s.known.Plan, vm.MainMemory{}), states)
}
