// Package power switches the nodes of a lab on and off.
package power

import (
	"context"
	"errors"
	"fmt"
	"io"

	"pmem-memcached-e2e/framework/lab/readiness"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/wait"
)

// Action is what can be done to the power of a node.
type Action string

// Of what a node has, its disk and its persistent memory outlast all of these,
// and its main memory none but Pause and Resume.
const (
	// Off has the node shut down, as its power button does.
	Off Action = "off"
	// Cut takes the power away at once.
	Cut Action = "cut"
	// On starts a node that is off.
	On Action = "on"
	// Reboot is Off and On.
	Reboot Action = "reboot"
	// Pause stops the node's processors, and Resume continues them as if
	// nothing had been. The node's clock stands still in between.
	Pause  Action = "pause"
	Resume Action = "resume"
)

// Actions are all of them.
var Actions = []Action{Off, Cut, On, Reboot, Pause, Resume}

// ErrState is wrapped by errors that say that a node is not in the state that
// an action starts from.
var ErrState = errors.New("not possible")

// Switch is what the nodes of a lab are switched by.
type Switch struct {
	// State is where it is written down that a node is off.
	State *state.File
	// Checker returns who asks the lab's API server.
	Checker func() (readiness.Checker, error)
}

// Do carries out an action on the node that the machine is. Off returns when the
// node has shut down; On and Reboot when it is Ready and PMEM-CSI offers its
// persistent memory again. If ctx ends before, what was begun continues.
// An action that leads to the state that the node is in does nothing.
//
// Do does not interfere with another action on another node.
func (s Switch) Do(ctx context.Context, m vm.Machine, action Action) (err error) {
	switch action {
	case Off:
		err = s.off(ctx, m)
	case Cut:
		err = s.cut(ctx, m)
	case On:
		err = s.on(ctx, m)
	case Reboot:
		if err = s.off(ctx, m); err == nil {
			err = s.on(ctx, m)
		}
	case Pause:
		err = s.change(ctx, m, "stop", vm.Running, vm.Paused)
	case Resume:
		err = s.change(ctx, m, "cont", vm.Paused, vm.Running)
	default:
		return fmt.Errorf("%w: action %q: want one of %q", state.ErrUnknown, action, Actions)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", m.Name(), action, err)
	}
	return nil
}

// Complete has a node run, and reports what it does for that. Its caller has the
// lab's lock.
func (s Switch) Complete(ctx context.Context, m vm.Machine, check readiness.Checker, report io.Writer) error {
	switch s.Of(ctx, m) {
	case vm.Off:
		fmt.Fprintf(report, "lab %s: %s is off and is switched on\n", m.Dir.Lab(), m.Name())
		if err := s.start(ctx, check, m); err != nil {
			return err
		}
	case vm.Paused:
		fmt.Fprintf(report, "lab %s: %s is paused and is resumed\n", m.Dir.Lab(), m.Name())
		return m.Do(ctx, "cont")
	}
	return s.await(ctx, check, m)
}

// Of returns the state that the node is in.
func (s Switch) Of(ctx context.Context, m vm.Machine) vm.Power {
	known, _ := s.State.Read() // what is not known was not switched off
	return m.Power(ctx, known.Nodes[m.Name()])
}

func (s Switch) off(ctx context.Context, m vm.Machine) error {
	if state := s.Of(ctx, m); state == vm.Off {
		return nil
	} else if state != vm.Running {
		return fmt.Errorf("%w: it is %s, and only what runs can shut down", ErrState, state)
	}
	if err := m.Dir.Locked(ctx, m.Waiter, func() error {
		if err := s.writeOff(m); err != nil {
			return err
		}
		return m.Do(ctx, "system_powerdown")
	}); err != nil {
		return err
	}
	return awaitEnd(ctx, m)
}

// awaitEnd waits until a node that shuts down has ended.
func awaitEnd(ctx context.Context, m vm.Machine) error {
	if err := m.Waiter.Until(ctx, wait.LabShutdown, m.Name()+" to shut down", func(context.Context) (bool, string, error) {
		p, runs := m.Programs.Find(m.Name())
		return !runs, fmt.Sprintf("QEMU, process %d, still runs", p.PID), nil
	}); err != nil {
		return fmt.Errorf("%w\nit continues to shut down; the action cut ends it at once", m.WithConsole(err))
	}
	return nil
}

func (s Switch) cut(ctx context.Context, m vm.Machine) error {
	return m.Dir.Locked(ctx, m.Waiter, func() error {
		// Written first: if this command dies now, the node still runs, and
		// that is what its process says.
		if err := s.writeOff(m); err != nil {
			return err
		}
		if p, runs := m.Programs.Find(m.Name()); runs {
			return p.Kill()
		}
		return nil
	})
}

func (s Switch) on(ctx context.Context, m vm.Machine) error {
	known, err := s.State.Read()
	if err != nil {
		return err
	}
	switch state := s.Of(ctx, m); state {
	case vm.Running:
		if !known.Nodes[m.Name()].Off {
			return nil
		}
		if err := awaitEnd(ctx, m); err != nil {
			return err
		}
	case vm.Off, vm.Lost:
	default:
		return fmt.Errorf("%w: it is %s; the action resume continues it", ErrState, state)
	}
	check, err := s.Checker()
	if err != nil {
		return err
	}
	if err := m.Dir.Locked(ctx, m.Waiter, func() error { return s.start(ctx, check, m) }); err != nil {
		return err
	}
	return s.await(ctx, check, m)
}

// start starts the machine of a node that was up before.
func (s Switch) start(ctx context.Context, check readiness.Checker, m vm.Machine) error {
	before, err := check.Seen(ctx, m.Node)
	if err != nil {
		return fmt.Errorf("what the cluster knows of the node before it starts: %w", err)
	}
	if err := s.State.ChangeNode(m.Node, func(n *state.Node) { *n = before }); err != nil {
		return err
	}
	return m.Start()
}

func (s Switch) await(ctx context.Context, check readiness.Checker, m vm.Machine) error {
	known, err := s.State.Read()
	if err != nil {
		return err
	}
	before := known.Nodes[m.Name()]
	if err := check.AwaitNode(ctx, m, before); err != nil {
		return m.WithConsole(err)
	}
	return m.WithConsole(check.AwaitDriver(ctx, m, before))
}

// change takes a node from one state to another by a command of QEMU.
func (s Switch) change(ctx context.Context, m vm.Machine, command string, from, to vm.Power) error {
	switch state := s.Of(ctx, m); state {
	case to:
		return nil
	case from:
	default:
		return fmt.Errorf("%w: it is %s, not %s", ErrState, state, from)
	}
	return m.Dir.Locked(ctx, m.Waiter, func() error { return m.Do(ctx, command) })
}

// writeOff writes down that a node does not run because that is wanted.
func (s Switch) writeOff(m vm.Machine) error {
	return s.State.ChangeNode(m.Node, func(n *state.Node) { n.Off = true })
}
