package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"

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

// ErrPower is wrapped by errors that say that a node is not in the state that
// an action starts from.
var ErrPower = errors.New("not possible")

// ErrUnknown is wrapped by errors that say that a lab has no such node or log,
// or knows no such action.
var ErrUnknown = state.ErrUnknown

// Power carries out an action on the node of that name. Off returns when the
// node has shut down; On and Reboot when it is Ready and PMEM-CSI offers its
// persistent memory again. If ctx ends before, what was begun continues.
// An action that leads to the state that the node is in does nothing.
//
// Power does not interfere with another action on another node.
func (l *Lab) Power(ctx context.Context, name string, action Action) error {
	m, err := l.powered(name)
	if err != nil {
		return err
	}
	l.doing(name + " " + string(action))
	defer l.doing("")
	switch action {
	case Off:
		err = l.switchOff(ctx, m)
	case Cut:
		err = l.cut(ctx, m)
	case On:
		err = l.switchOn(ctx, m)
	case Reboot:
		if err = l.switchOff(ctx, m); err == nil {
			err = l.switchOn(ctx, m)
		}
	case Pause:
		err = l.switchTo(ctx, m, "stop", vm.Running, vm.Paused)
	case Resume:
		err = l.switchTo(ctx, m, "cont", vm.Paused, vm.Running)
	default:
		return fmt.Errorf("%w: action %q: want one of %q", ErrUnknown, action, Actions)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", m.Name(), action, err)
	}
	return nil
}

// powered finds the machine of a node of a lab that was brought up.
func (l *Lab) powered(name string) (vm.Machine, error) {
	if s := l.inspect(); !s.present() || !s.Ready || s.unknown != nil {
		return vm.Machine{}, s.Err()
	}
	return l.planned(name)
}

// planned is powered for a lab that may not have come to its end.
func (l *Lab) planned(name string) (vm.Machine, error) {
	s, err := l.state.Read()
	if err != nil {
		return vm.Machine{}, err
	}
	if s.Plan.Nodes == 0 {
		return vm.Machine{}, fmt.Errorf("lab %s has no nodes: bring it up with make lab-up", l.opts.Name)
	}
	var names []string
	for _, m := range l.machines(s.Plan, vm.MainMemory{}) {
		if m.Name() == name {
			return m, nil
		}
		names = append(names, m.Name())
	}
	return vm.Machine{}, fmt.Errorf("%w: lab %s has no node %q: it has %s", ErrUnknown, l.opts.Name, name, strings.Join(names, ", "))
}

// change calls f while no other command changes the lab.
func (l *Lab) change(ctx context.Context, f func() error) error {
	var unlock func()
	if err := l.wait.Until(ctx, wait.LabLock, "other commands to finish with lab "+l.opts.Name, func(context.Context) (bool, string, error) {
		var err error
		unlock, err = l.lock()
		return err == nil, "", err
	}); err != nil {
		return err
	}
	defer unlock()
	return f()
}

func (l *Lab) switchOff(ctx context.Context, m vm.Machine) error {
	if state := l.power(ctx, m); state == vm.Off {
		return nil
	} else if state != vm.Running {
		return fmt.Errorf("%w: it is %s, and only what runs can shut down", ErrPower, state)
	}
	if err := l.change(ctx, func() error {
		if err := l.switchedOff(m); err != nil {
			return err
		}
		return m.Do(ctx, "system_powerdown")
	}); err != nil {
		return err
	}
	if err := l.wait.Until(ctx, wait.LabShutdown, m.Name()+" to shut down", func(context.Context) (bool, string, error) {
		p, runs := l.programs.Find(m.Name())
		return !runs, fmt.Sprintf("QEMU, process %d, still runs", p.PID), nil
	}); err != nil {
		return fmt.Errorf("%w\nit continues to shut down; the action cut ends it at once", m.WithConsole(err))
	}
	return nil
}

func (l *Lab) cut(ctx context.Context, m vm.Machine) error {
	return l.change(ctx, func() error {
		// Written first: if this command dies now, the node still runs, and
		// that is what its process says.
		if err := l.switchedOff(m); err != nil {
			return err
		}
		if p, runs := l.programs.Find(m.Name()); runs {
			return p.Kill()
		}
		return nil
	})
}

func (l *Lab) switchOn(ctx context.Context, m vm.Machine) error {
	check, err := l.checker()
	if err != nil {
		return err
	}
	switch state := l.power(ctx, m); state {
	case vm.Running:
		return nil
	case vm.Off, vm.Lost:
	default:
		return fmt.Errorf("%w: it is %s; the action resume continues it", ErrPower, state)
	}
	if err := l.change(ctx, func() error { return l.restart(ctx, check, m) }); err != nil {
		return err
	}
	return l.awaitRestart(ctx, check, m)
}

// restart starts the machine of a node that was up before.
func (l *Lab) restart(ctx context.Context, check readiness.Checker, m vm.Machine) error {
	before, err := check.Seen(ctx, m.Node)
	if err != nil {
		return fmt.Errorf("what the cluster knows of the node before it starts: %w", err)
	}
	if err := l.state.ChangeNode(m.Node, func(n *state.Node) { *n = before }); err != nil {
		return err
	}
	return m.Start()
}

func (l *Lab) awaitRestart(ctx context.Context, check readiness.Checker, m vm.Machine) error {
	s, err := l.state.Read()
	if err != nil {
		return err
	}
	before := s.Nodes[m.Name()]
	if err := check.AwaitNode(ctx, m, before); err != nil {
		return m.WithConsole(err)
	}
	return m.WithConsole(check.AwaitDriver(ctx, m, before))
}

// switchTo takes a node from one state to another by a command of QEMU.
func (l *Lab) switchTo(ctx context.Context, m vm.Machine, command string, from, to vm.Power) error {
	switch state := l.power(ctx, m); state {
	case to:
		return nil
	case from:
	default:
		return fmt.Errorf("%w: it is %s, not %s", ErrPower, state, from)
	}
	return l.change(ctx, func() error { return m.Do(ctx, command) })
}

// switchedOff writes down that a node does not run because that is wanted.
func (l *Lab) switchedOff(m vm.Machine) error {
	return l.state.ChangeNode(m.Node, func(n *state.Node) { n.Off = true })
}

// power returns the state that the node is in.
func (l *Lab) power(ctx context.Context, m vm.Machine) vm.Power {
	s, _ := l.state.Read() // what is not known was not switched off
	return m.Power(ctx, s.Nodes[m.Name()])
}
