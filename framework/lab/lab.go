// Package lab runs a Kubernetes cluster with persistent memory on a machine
// that has none: the control plane as processes of this host, the nodes in
// virtual machines a part of whose memory the kernel presents as persistent
// memory, and PMEM-CSI on them. All of it lives in one network namespace without a way out.
package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/host"
	"pmem-memcached-e2e/framework/lab/logs"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/vm"
)

// Kubeconfig returns the path of the administrator's kubeconfig, which exists
// while the lab is up.
func (l *Lab) Kubeconfig() string { return l.dir.Kubeconfig() }

// Meter adds up the processor time of the lab's programs from now on, that of a node under
// the node's name.
func (l *Lab) Meter() *process.Meter { return l.programs.Meter() }

// Kubectl returns the path of the Kubernetes executable, which acts as kubectl
// when it is started by that name.
func (l *Lab) Kubectl(ctx context.Context) (path string, err error) {
	err = l.withParts(ctx, func(parts *artifact.Parts, _ artifact.Versions) error {
		path = parts.Kubernetes
		return nil
	})
	return path, err
}

// Up brings the lab up and returns when PMEM-CSI offers the persistent memory
// of every node. A lab that is up is left as it is. If Up fails or is interrupted,
// what it started is removed again, but for what it built.
func (l *Lab) Up(ctx context.Context) error { return l.up(ctx, false) }

// UpWhileAlive is Up, and has a lab that was not up before be removed when this
// process ends without having called Down, however it ends.
func (l *Lab) UpWhileAlive(ctx context.Context) error { return l.up(ctx, true) }

func (l *Lab) up(ctx context.Context, guarded bool) (err error) {
	if err := l.Check(); err != nil {
		return err
	}
	unlock, err := l.dir.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	s := l.inspect()
	if s.up() {
		return l.complete(ctx, s)
	}
	if err := l.removeUnfinished(s); err != nil {
		return err
	}
	defer l.programs.Leave()
	plan, available, err := l.opts.plannedHere()
	if err != nil {
		return err
	}
	if l.opts.Machines.Nodes == 0 && plan.Nodes != defaultNodes {
		fmt.Fprintf(l.progress, "lab has one node: with %d processors and %d MiB of memory, %d are too many for this machine unless LAB_NODES asks for them\n", runtime.NumCPU(), available, defaultNodes)
	}
	if l.opts.Machines.PMEM == 0 && plan.PMEM != defaultPMEM {
		fmt.Fprintf(l.progress, "lab gives each node %d MiB of persistent memory, and not %d: there are %d MiB of memory\n", plan.PMEM, defaultPMEM, available)
	}
	if guarded {
		if _, err := l.startGuard(); err != nil {
			return errors.Join(err, l.remove())
		}
	}
	m := &making{lab: l, plan: plan}
	if err := l.bringUp(ctx, m.phases()); err != nil {
		return err
	}
	if err := l.load(ctx, m.plan); err != nil {
		return errors.Join(err, l.remove())
	}
	return nil
}

// removeUnfinished removes what an Up that was killed left.
func (l *Lab) removeUnfinished(s Status) error {
	if !s.present() {
		return nil
	}
	fmt.Fprintf(l.progress, "lab %s: removing what an earlier, unfinished run left\n", l.opts.Name)
	return l.remove()
}

// bringUp carries out all phases, or takes back those that it did.
func (l *Lab) bringUp(ctx context.Context, phases []phase) error {
	start := time.Now()
	defer l.doing("")
	for _, p := range phases {
		took, err := l.carryOut(ctx, p)
		if err == nil {
			err = l.state.Change(func(s *state.State) { s.Phases = append(s.Phases, state.Phase{Name: p.name, Took: took}) })
		}
		if err != nil {
			return l.rollBack(ctx, p, err)
		}
	}
	if err := l.state.Change(func(s *state.State) { s.Ready = true }); err != nil {
		return errors.Join(err, l.remove())
	}
	fmt.Fprintf(l.progress, "lab %-14s %5.1fs  KUBECONFIG=%s\n", "up", time.Since(start).Seconds(), l.Kubeconfig())
	return nil
}

// complete has all nodes of a lab that is up run.
func (l *Lab) complete(ctx context.Context, s Status) (err error) {
	check, err := l.checker()
	if err != nil {
		return err
	}
	l.doing("lab nodes")
	defer l.doing("")
	if err := vm.Each(ctx, l.machines(s.known.Plan, vm.MainMemory{}), func(ctx context.Context, m vm.Machine) error {
		return l.power().Complete(ctx, m, check, l.progress)
	}); err != nil {
		return err
	}
	if err := l.load(ctx, s.known.Plan); err != nil {
		return err
	}
	fmt.Fprintf(l.progress, "lab %s is up\n", l.opts.Name)
	return nil
}

func (l *Lab) rollBack(ctx context.Context, p phase, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
		return errors.Join(fmt.Errorf("lab phase %q was interrupted: %w", p.name, err), l.remove())
	}
	if errors.Is(err, ErrHost) {
		return errors.Join(fmt.Errorf("lab phase %q: %w", p.name, err), l.remove())
	}
	err = fmt.Errorf("lab phase %q: %w\nhint: %s", p.name, err, p.hint)
	kept, keepErr := logs.Keep(l.dir, host.OwnName(l.opts.Name)+"-failed-")
	if kept != "" {
		err = fmt.Errorf("%w\nlogs of the failed lab are kept in %s", err, kept)
	}
	if keepErr != nil {
		err = errors.Join(err, fmt.Errorf("keep all logs of the failed lab: %w", keepErr))
	}
	return errors.Join(err, l.remove())
}

// Down removes the lab: processes and with them the network, keys, disks. What was built
// stays in the cache. Down of a lab that is not there does nothing.
func (l *Lab) Down(context.Context) error {
	unlock, err := l.dir.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	if !l.inspect().present() {
		fmt.Fprintf(l.progress, "lab %s is not there\n", l.opts.Name)
		return nil
	}
	start := time.Now()
	if err := l.remove(); err != nil {
		return err
	}
	fmt.Fprintf(l.progress, "lab %-14s %5.1fs\n", "down", time.Since(start).Seconds())
	return nil
}

// remove ends and deletes everything that carries the lab's name.
func (l *Lab) remove() error {
	return errors.Join(
		l.programs.KillAll(),
		os.RemoveAll(l.memory),
		os.RemoveAll(string(l.dir)),
		l.dismissGuard(),
	)
}
