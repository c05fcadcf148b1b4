package lab

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/topology"
)

// plan is what a lab consists of. It is written down before the first node
// starts, so that later commands treat the lab as the one that made it did.
type plan struct {
	Nodes int `json:"nodes"`
	// PMEM is the persistent memory of each node in MiB.
	PMEM  int    `json:"pmem"`
	Accel string `json:"accelerator"`
	// Driver is the mode of PMEM-CSI, empty in what earlier revisions wrote.
	Driver Driver `json:"driver"`
	// What every node boots.
	Kernel string `json:"kernel"`
	InitRD string `json:"initrd"`
	Disk   string `json:"disk"`
	// QEMU runs the nodes.
	QEMU artifact.QEMU `json:"qemu"`
	// Memory is the directory of the files that are the persistent memory.
	Memory string `json:"memory"`
	// Snapshot is the directory of the snapshot that the lab came from.
	Snapshot string `json:"snapshot,omitempty"`
}

// boot has the nodes boot what the parts have for that.
func (p *plan) boot(parts *artifact.Parts) {
	p.Kernel, p.InitRD, p.Disk, p.QEMU = parts.Kernel, parts.InitRD, parts.Disk, parts.QEMU
}

const planFile = "plan.json"

// planned is what Up makes if nothing is there and its host has that many MiB
// of memory available and that many processors.
func (o Options) planned(available, processors int) plan {
	p := plan{Nodes: cmp.Or(o.Nodes, defaultNodes), PMEM: cmp.Or(o.PMEM, defaultPMEM), Driver: cmp.Or(o.Driver, LVM)}
	if need, _ := p.needs(); o.Nodes == 0 && (need > available || processors < defaultProcessors) {
		p.Nodes = 1
	}
	return p
}

// differs returns what of the options a lab with this plan does not have.
func (o Options) differs(p plan) error {
	var errs []error
	if o.Nodes != 0 && o.Nodes != p.Nodes {
		errs = append(errs, fmt.Errorf("LAB_NODES=%d, but it has %d", o.Nodes, p.Nodes))
	}
	if o.PMEM != 0 && o.PMEM != p.PMEM {
		errs = append(errs, fmt.Errorf("LAB_PMEM=%d, but its nodes have %d MiB", o.PMEM, p.PMEM))
	}
	if has := cmp.Or(p.Driver, LVM); o.Driver != "" && o.Driver != has {
		errs = append(errs, fmt.Errorf("LAB_DRIVER=%s, but its driver is in mode %s", o.Driver, has))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: lab %s: %w; make lab-down removes it, LAB_NAME names another", ErrDiffers, o.Name, err)
	}
	return nil
}

// needs is the memory in MiB that a lab takes of its host, and what it is for.
func (p plan) needs() (mib int, what string) {
	mib = headroom + p.Nodes*(nodeDRAM+qemuOverhead+p.PMEM)
	return mib, fmt.Sprintf("%d MiB for the control plane and the suite, and for each of %d nodes %d MiB of main memory, %d MiB of persistent memory and %d MiB for QEMU",
		headroom, p.Nodes, nodeDRAM, p.PMEM, qemuOverhead)
}

func (p plan) nodes() []topology.Node { return topology.Nodes(p.Nodes) }

func (l *Lab) writePlan() error {
	text, err := json.MarshalIndent(l.plan, "", "\t")
	if err != nil {
		return err
	}
	if err := private.ReplaceFile(l.dir.Path(planFile), append(text, '\n')); err != nil {
		return fmt.Errorf("write down what the lab consists of: %w", err)
	}
	return nil
}

// readPlan returns the zero plan if there is none: the lab is not there, or
// was not brought up that far.
func (l *Lab) readPlan() (plan, error) {
	var p plan
	text, err := os.ReadFile(l.dir.Path(planFile))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err == nil && (p.Nodes < 1 || p.Nodes > maxNodes) {
		err = fmt.Errorf("it has %d nodes", p.Nodes)
	}
	if err != nil {
		return plan{}, fmt.Errorf("what lab %s consists of: %s: %w; make lab-down removes the lab", l.opts.Name, l.dir.Path(planFile), err)
	}
	return p, nil
}
