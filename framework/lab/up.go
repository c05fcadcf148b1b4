package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"pmem-memcached-e2e/framework/lab/addons"
	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/host"
	"pmem-memcached-e2e/framework/lab/network"
	"pmem-memcached-e2e/framework/lab/nodeconfig"
	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/snapshot"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/vm"
)

// phase is a step of bringing the lab up.
type phase struct {
	name string
	do   func(context.Context) error
	// hint names what to look at when the phase fails.
	hint string
}

// making is a lab that is being brought up: what its phases have made so far.
type making struct {
	lab   *Lab
	plan  state.Plan
	parts *artifact.Parts
}

const (
	networkHint = "the lab needs network namespaces, bridges and /dev/net/tun"
	driverHint  = "look at the pods of namespace pmem-csi, and at the consoles of the nodes in logs/NODE/console.log"
)

// preparing are the phases that leave nothing running.
func (m *making) preparing() []phase {
	return []phase{
		{"memory", m.chooseMemory, "the files need room in " + sharedMemory + " or in the state directory"},
		{"parts", m.makeParts, "the builds need Go's module proxy and Debian's packages; finished parts are kept, so just try again"},
		{"accelerator", m.chooseAccelerator, "set LAB_ACCEL=tcg to do without KVM"},
	}
}

// booting are the phases of a lab that starts from nothing.
func (m *making) booting(main vm.MainMemory) []phase {
	return []phase{
		{"network", m.enterNetwork, networkHint},
		{"keys", func(context.Context) error { return plane.MakeKeys(m.lab.dir, m.plan.All()) }, "the state directory must be writable and have a few MiB"},
		{"node start", func(ctx context.Context) error { return m.startNodes(ctx, main) }, "QEMU's own words are in logs/node1.log and its like"},
		{"control plane", m.startPlane, "see logs/kube-apiserver.log and its neighbours"},
		{"addons", func(ctx context.Context) error {
			return addons.Apply(ctx, m.lab.Kubeconfig(), m.parts.Driver, m.plan.Driver)
		}, "see logs/kube-apiserver.log"},
		{"node ready", m.awaitNodes, "a node's console is logs/NODE/console.log, next to the logs of its programs"},
		{"pmem-csi", m.awaitDriver, driverHint},
	}
}

// restoring are the phases of a lab that continues from a snapshot.
func (m *making) restoring() []phase {
	return []phase{
		{"snapshot", m.makeSnapshot, "make lab-up without LAB_SNAPSHOT starts the lab from nothing"},
		{"network", m.enterNetwork, networkHint},
		{"restore", m.restore, "see logs/kube-apiserver.log, and QEMU's own words in logs/node1.log"},
		{"wake", func(ctx context.Context) error { return vm.Each(ctx, m.machines(), snapshot.Wake) }, "see logs/node1.log"},
		{"awake", m.awaitAwake, driverHint},
	}
}

// machines are those of the nodes.
func (m *making) machines() []vm.Machine { return m.lab.machines(m.plan, vm.MainMemory{}) }

// chooseMemory takes the host's memory for the files with the nodes' persistent
// memory, or its disk where that file system is too small, as it is in many
// containers. While a snapshot is taken, main memory is in files, too.
func (m *making) chooseMemory(context.Context) error {
	each := vm.PMEMFileSize(m.plan)
	if m.lab.opts.Snapshot {
		each += vm.DRAM
	}
	need := int64(m.plan.Nodes) * int64(each) << 20
	onDisk := m.lab.dir.Path("memory")
	dir, lacking := host.WithRoom(need, m.lab.memory, onDisk)
	switch dir {
	case "":
		return fmt.Errorf("%w: no room for %d MiB of memory in files: %w; choose fewer nodes with LAB_NODES or less persistent memory with LAB_PMEM", ErrHost, need>>20, lacking)
	case onDisk:
		fmt.Fprintf(m.lab.progress, "lab keeps persistent memory on disk: %v\n", lacking)
	}
	m.plan.Memory = dir
	return nil
}

func (m *making) makeParts(ctx context.Context) error {
	return hostError(m.lab.withParts(ctx, func(parts *artifact.Parts, v artifact.Versions) error {
		m.parts = parts
		return m.lab.state.Change(func(s *state.State) { s.Versions, s.Directories = v, parts.Directories })
	}))
}

func (m *making) chooseAccelerator(ctx context.Context) error {
	chosen, why, err := vm.Choose(ctx, m.lab.opts.Machines.Accel, m.parts.Kernel, m.parts.QEMU)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHost, err)
	}
	m.plan.Accel, m.plan.Processor = chosen.Name, chosen.Processor
	if why != nil {
		consequence := "emulates the processors of its nodes"
		if chosen.Processor != "" {
			consequence = "gives its nodes processors of the model " + chosen.Processor
		}
		fmt.Fprintf(m.lab.progress, "lab %s: %v\n", consequence, why)
	}
	return nil
}

// enterNetwork makes the network and has the lab's programs be in it.
func (m *making) enterNetwork(ctx context.Context) error {
	namespace, err := network.Make(ctx, m.plan.All())
	if err != nil {
		return err
	}
	m.lab.programs.Enter(namespace)
	return nil
}

// settle writes down what the lab consists of.
func (m *making) settle() error {
	m.plan.Boot(m.parts)
	return m.lab.state.Change(func(s *state.State) { s.Plan = m.plan })
}

// startNodes starts the virtual machines and does not wait for them.
func (m *making) startNodes(ctx context.Context, main vm.MainMemory) error {
	if err := errors.Join(m.settle(), vm.MakeMemory(m.plan, main)); err != nil {
		return err
	}
	made, err := m.lab.versions()
	if err != nil {
		return err
	}
	return vm.Each(ctx, m.lab.machines(m.plan, main), func(ctx context.Context, machine vm.Machine) error {
		config := nodeconfig.Node{Node: machine.Node, All: m.plan.All(), Driver: m.plan.Driver, Kubernetes: made.Kubernetes, Dir: m.lab.dir}
		if err := config.MakeDisk(ctx, machine.ConfigFile()); err != nil {
			return err
		}
		if err := machine.MakeDisk(ctx, "raw", m.plan.Disk); err != nil {
			return err
		}
		return machine.Start()
	})
}

func (m *making) startPlane(ctx context.Context) error {
	p := plane.Plane{Dir: m.lab.dir, Etcd: m.parts.Etcd, Kubernetes: m.parts.Kubernetes}
	return p.Start(ctx, m.lab.programs, m.lab.wait, m.lab.opts.Port)
}

// awaitNodes waits until all nodes have joined.
func (m *making) awaitNodes(ctx context.Context) error {
	check, err := m.lab.checker()
	if err != nil {
		return err
	}
	return vm.Each(ctx, m.machines(), func(ctx context.Context, machine vm.Machine) error {
		return machine.WithConsole(check.AwaitNode(ctx, machine, state.Node{}))
	})
}

// awaitDriver waits until the persistent memory of the nodes can be asked for,
// and cluster DNS answers.
func (m *making) awaitDriver(ctx context.Context) error {
	check, err := m.lab.checker()
	if err != nil {
		return err
	}
	if err := vm.Each(ctx, m.machines(), func(ctx context.Context, machine vm.Machine) error {
		return machine.WithConsole(check.AwaitDriver(ctx, machine, state.Node{}))
	}); err != nil {
		return err
	}
	return check.AwaitDNS(ctx)
}

// makeSnapshot takes the snapshot if there is none yet.
func (m *making) makeSnapshot(ctx context.Context) (err error) {
	qemu, err := vm.Version(ctx, m.parts.QEMU)
	if err != nil {
		return err
	}
	a, err := snapshot.Artifact(m.plan, m.parts, qemu)
	if err != nil {
		return err
	}
	a.Make = m.takeSnapshot
	store, err := artifact.Open(m.lab.opts.CacheDir, m.lab.progress)
	if err != nil {
		return hostError(err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	dir, err := store.Get(ctx, a)
	if err != nil {
		return err
	}
	m.plan.Snapshot = dir
	return m.lab.state.Change(func(s *state.State) { s.Directories = append(s.Directories, dir) })
}

// takeSnapshot brings the lab up from nothing, stops it at that moment and
// writes it into dir. Nothing of it runs afterwards.
func (m *making) takeSnapshot(ctx context.Context, dir string, _ io.Writer) (err error) {
	// It holds keys.
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	main := vm.MainMemory{Dir: m.plan.Memory}
	defer func() { err = errors.Join(err, m.stop()) }()
	phases := append(m.booting(main),
		phase{"freeze", func(ctx context.Context) error {
			return snapshot.Freeze(ctx, m.lab.programs, m.lab.wait, m.lab.machines(m.plan, main))
		}, "see logs/kube-apiserver.log and logs/node1.log"},
		phase{"save", func(ctx context.Context) error {
			return snapshot.Save(ctx, m.lab.dir, m.lab.machines(m.plan, main), dir)
		}, "the cache directory needs room for the main memory of all nodes"},
	)
	for _, p := range phases {
		if _, err := m.lab.carryOut(ctx, p); err != nil {
			return fmt.Errorf("phase %q: %w\nhint: %s", p.name, err, p.hint)
		}
	}
	return nil
}

// stop ends the lab's processes and removes what they worked on.
func (m *making) stop() error {
	defer m.lab.programs.Leave()
	errs := []error{m.lab.programs.KillAll(), os.RemoveAll(m.plan.Memory)}
	for _, dir := range []string{state.EtcdDir, state.KeysDir, state.NodesDir} {
		errs = append(errs, os.RemoveAll(m.lab.dir.Path(dir)))
	}
	return errors.Join(errs...)
}

// restore makes of a snapshot what Up makes of nothing, up to the machines and
// the control plane, which it starts in parallel. The nodes do not run yet.
func (m *making) restore(ctx context.Context) error {
	if err := errors.Join(m.settle(), private.MakeDir(m.plan.Memory)); err != nil {
		return err
	}
	if err := snapshot.RestorePlane(ctx, m.plan.Snapshot, m.lab.dir); err != nil {
		return err
	}
	machines := m.lab.machines(m.plan, snapshot.MainMemory(m.plan.Snapshot))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.startPlane(ctx) })
	g.Go(func() error {
		return vm.Each(ctx, machines, func(ctx context.Context, machine vm.Machine) error {
			return snapshot.Load(ctx, m.plan.Snapshot, machine)
		})
	})
	return g.Wait()
}

// awaitAwake waits until the programs of all nodes answer.
func (m *making) awaitAwake(ctx context.Context) error {
	check, err := m.lab.checker()
	if err != nil {
		return err
	}
	return vm.Each(ctx, m.machines(), func(ctx context.Context, machine vm.Machine) error {
		if err := machine.WithConsole(check.AwaitAwake(ctx, machine)); err != nil {
			return err
		}
		// When it continued, with everything else that it had to do, it has taken the time over late.
		return machine.SetClock()
	})
}

// carryOut carries out a phase and returns how long it took.
func (l *Lab) carryOut(ctx context.Context, p phase) (took time.Duration, err error) {
	began := time.Now()
	l.doing("lab " + p.name)
	if err := p.do(ctx); err != nil {
		return 0, err
	}
	took = time.Since(began)
	fmt.Fprintf(l.progress, "lab %-14s %5.1fs\n", p.name, took.Seconds())
	return took, nil
}

// phases are all of those that bring the lab up.
func (m *making) phases() []phase {
	if m.lab.opts.Snapshot {
		return slices.Concat(m.preparing(), m.restoring())
	}
	return slices.Concat(m.preparing(), m.booting(vm.MainMemory{}))
}
