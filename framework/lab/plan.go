package lab

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"

	"pmem-memcached-e2e/framework/lab/host"
	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/vm"
)

// headroom is the memory in MiB that the control plane and the suite need
// in addition to the nodes.
const headroom = 2048

// planned is what Up makes if nothing is there and its host has that many MiB
// of memory available and that many processors.
func (o Options) planned(available, processors int) state.Plan {
	nodes, pmem := []int{defaultNodes, 1}, []int{defaultPMEM, lessPMEM}
	if processors < defaultProcessors {
		nodes = nodes[1:]
	}
	if o.Machines.Nodes != 0 {
		nodes = []int{o.Machines.Nodes}
	}
	if o.Machines.PMEM != 0 {
		pmem = []int{o.Machines.PMEM}
	}
	p := state.Plan{Driver: cmp.Or(o.Driver, pmemcsi.LVM)}
	for _, p.Nodes = range nodes {
		for _, p.PMEM = range pmem {
			if need, _ := needs(p); need <= available {
				return p
			}
		}
	}
	return p // the least
}

// lessPMEM is what each node gets on a host that is too small for defaultPMEM.
const lessPMEM = 2048

// differs returns what of the options a lab with this plan does not have.
func (o Options) differs(p state.Plan) error {
	var errs []error
	if o.Machines.Nodes != 0 && o.Machines.Nodes != p.Nodes {
		errs = append(errs, fmt.Errorf("LAB_NODES=%d, but it has %d", o.Machines.Nodes, p.Nodes))
	}
	if o.Machines.PMEM != 0 && o.Machines.PMEM != p.PMEM {
		errs = append(errs, fmt.Errorf("LAB_PMEM=%d, but its nodes have %d MiB", o.Machines.PMEM, p.PMEM))
	}
	if o.Driver != "" && o.Driver != p.Driver {
		errs = append(errs, fmt.Errorf("LAB_DRIVER=%s, but its driver is in mode %s", o.Driver, p.Driver))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: lab %s: %w; make lab-down removes it, LAB_NAME names another", ErrDiffers, o.Name, err)
	}
	return nil
}

// needs is the memory in MiB that a lab takes of its host, and what it is for.
func needs(p state.Plan) (mib int, what string) {
	mib = headroom + p.Nodes*(vm.DRAM+vm.Overhead+p.PMEM)
	return mib, fmt.Sprintf("%d MiB for the control plane and the suite, and for each of %d nodes %d MiB of main memory, %d MiB of persistent memory and %d MiB for QEMU",
		headroom, p.Nodes, vm.DRAM, p.PMEM, vm.Overhead)
}

// plannedHere is planned on this host, with the MiB that are available here.
func (o Options) plannedHere() (p state.Plan, available int, err error) {
	available, err = host.AvailableMemory()
	return o.planned(available, runtime.NumCPU()), available, err
}

// enough compares what a lab needs with the MiB that its host has.
func enough(p state.Plan, available int) error {
	need, what := needs(p)
	if need <= available {
		return nil
	}
	return fmt.Errorf("%w: it has %d MiB of memory available, and LAB_NODES=%d LAB_PMEM=%d need %d MiB: %s; choose fewer nodes or less persistent memory",
		ErrHost, available, p.Nodes, p.PMEM, need, what)
}
