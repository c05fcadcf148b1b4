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
	"slices"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/network"
	"pmem-memcached-e2e/framework/lab/qmp"
	"pmem-memcached-e2e/framework/lab/topology"
)

// Kubeconfig returns the path of the administrator's kubeconfig, which exists
// while the lab is up.
func (l *Lab) Kubeconfig() string { return l.dir.Path("kubeconfig") }

// Kubectl returns the path of the Kubernetes executable, which acts as kubectl
// when it is started by that name.
func (l *Lab) Kubectl(ctx context.Context) (path string, err error) {
	err = l.withParts(ctx, func(parts *artifact.Parts, _ artifact.Versions) error {
		path = parts.Kubernetes
		return nil
	})
	return path, err
}

// phase is a step of bringing the lab up.
type phase struct {
	name string
	do   func(context.Context) error
	// hint names what to look at when the phase fails.
	hint string
}

// preparing are the phases that leave nothing running.
func (l *Lab) preparing() []phase {
	return []phase{
		{"memory", l.chooseMemory, "the files need room in " + sharedMemory + " or in the state directory"},
		{"parts", l.makeParts, "the builds need Go's module proxy and Debian's packages; finished parts are kept, so just try again"},
		{"accelerator", l.chooseAccelerator, "set LAB_ACCEL=tcg to do without KVM"},
	}
}

// booting are the phases of a lab that starts from nothing.
func (l *Lab) booting() []phase {
	return []phase{
		{"network", l.enterNetwork, networkHint},
		{"keys", l.makeKeys, "the state directory must be writable and have a few MiB"},
		{"node start", l.startNodes, "QEMU's own words are in logs/node1.log and its like"},
		{"control plane", l.startControlPlane, "see logs/kube-apiserver.log and its neighbours"},
		{"addons", l.applyAddons, "see logs/kube-apiserver.log"},
		{"node ready", l.awaitNodes, "a node's console is logs/NODE/console.log, next to the logs of its programs"},
		{"pmem-csi", l.awaitDriver, driverHint},
	}
}

const (
	networkHint = "the lab needs network namespaces, bridges and /dev/net/tun"
	driverHint  = "look at the pods of namespace pmem-csi, and at the consoles of the nodes in logs/NODE/console.log"
)

func (l *Lab) carryOut(ctx context.Context, p phase) error {
	began := time.Now()
	l.doing("lab " + p.name)
	if err := p.do(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	fmt.Fprintf(l.progress, "lab %-14s %5.1fs\n", p.name, took.Seconds())
	return l.recordPhase(p.name, took)
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
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	s := l.inspect()
	if s.up() {
		return l.complete(ctx, s)
	}
	if err := l.recover(s); err != nil {
		return err
	}
	defer l.programs.Leave()
	var available int
	if l.plan, available, err = l.opts.plannedHere(); err != nil {
		return err
	}
	if l.opts.Nodes == 0 && l.plan.Nodes != defaultNodes {
		fmt.Fprintf(l.progress, "lab has one node: with %d processors and %d MiB of memory, %d are too many for this machine unless LAB_NODES asks for them\n", runtime.NumCPU(), available, defaultNodes)
	}
	if guarded {
		if _, err := l.startGuard(); err != nil {
			return errors.Join(err, l.remove())
		}
	}
	if l.opts.Snapshot {
		return l.bringUp(ctx, slices.Concat(l.preparing(), l.restoring()))
	}
	return l.bringUp(ctx, slices.Concat(l.preparing(), l.booting()))
}

// recover removes what an Up that was killed left.
func (l *Lab) recover(s Status) error {
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
		if err := l.carryOut(ctx, p); err != nil {
			return l.rollBack(ctx, p, err)
		}
	}
	if err := os.WriteFile(l.dir.Path(readyMark), nil, 0o600); err != nil {
		return errors.Join(err, l.remove())
	}
	fmt.Fprintf(l.progress, "lab %-14s %5.1fs  KUBECONFIG=%s\n", "up", time.Since(start).Seconds(), l.Kubeconfig())
	return nil
}

// complete has all nodes of a lab that is up run.
func (l *Lab) complete(ctx context.Context, s Status) (err error) {
	if l.plan, err = l.readPlan(); err != nil {
		return err
	}
	client, err := l.client()
	if err != nil {
		return err
	}
	l.doing("lab nodes")
	defer l.doing("")
	if err := topology.Each(ctx, l.plan.nodes(), func(ctx context.Context, n topology.Node) error {
		switch l.power(ctx, n) {
		case Down:
			fmt.Fprintf(l.progress, "lab %s: %s is off and is switched on\n", l.opts.Name, n.Name())
			if err := l.restart(ctx, client, n); err != nil {
				return err
			}
		case Paused:
			fmt.Fprintf(l.progress, "lab %s: %s is paused and is resumed\n", l.opts.Name, n.Name())
			return l.ask(ctx, n, qmp.Command{Execute: "cont"}, nil)
		}
		return l.awaitRestart(ctx, client, n)
	}); err != nil {
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
	logs, keepErr := l.keepLogs()
	if logs != "" {
		err = fmt.Errorf("%w\nlogs of the failed lab are kept in %s", err, logs)
	}
	if keepErr != nil {
		err = errors.Join(err, fmt.Errorf("keep all logs of the failed lab: %w", keepErr))
	}
	return errors.Join(err, l.remove())
}

// Down removes the lab: processes and with them the network, keys, disks. What was built
// stays in the cache. Down of a lab that is not there does nothing.
func (l *Lab) Down(context.Context) error {
	unlock, err := l.lock()
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

// enterNetwork makes the network and has the lab's programs be in it.
func (l *Lab) enterNetwork(ctx context.Context) error {
	namespace, err := network.Make(ctx, l.plan.nodes())
	if err != nil {
		return err
	}
	l.programs.Enter(namespace)
	return nil
}
