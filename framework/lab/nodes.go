package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"pmem-memcached-e2e/framework/lab/logs"
	"pmem-memcached-e2e/framework/lab/nodeshell"
	"pmem-memcached-e2e/framework/lab/power"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/wait"
)

// ErrUnknown is wrapped by errors that say that a lab has no such node or log,
// or knows no such action.
var ErrUnknown = state.ErrUnknown

// Power carries out an action on the power of the node of that name, see
// power.Switch.
func (l *Lab) Power(ctx context.Context, name string, action power.Action) error {
	m, err := l.powered(name)
	if err != nil {
		return err
	}
	l.doing(name + " " + string(action))
	defer l.doing("")
	return l.power().Do(ctx, m, action)
}

func (l *Lab) power() power.Switch { return power.Switch{State: l.state, Checker: l.checker} }

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

// Shell carries out a command on the node of that name, as root and without
// the help of Kubernetes or the network, and returns its exit code. The lab
// need not be up to its end.
func (l *Lab) Shell(ctx context.Context, name string, s nodeshell.Session) (code int, err error) {
	return l.shell(ctx, l.wait, name, s)
}

// shell is Shell, in which w waits until the node answers, and until the command has ended.
func (l *Lab) shell(ctx context.Context, w wait.Waiter, name string, s nodeshell.Session) (code int, err error) {
	m, err := l.planned(name)
	if err != nil {
		return 0, err
	}
	if state := l.power().Of(ctx, m); state != vm.Running {
		return 0, fmt.Errorf("shell on %s: %w: the node is %s", name, power.ErrState, state)
	}
	port, unlock, err := m.ShellPort()
	if err != nil {
		return 0, fmt.Errorf("shell on %s: %w", name, err)
	}
	defer unlock()
	var ended error
	err = w.Until(ctx, wait.LabShell, name+" to answer on its port for shells", func(probe context.Context) (bool, string, error) {
		conn, err := (&net.Dialer{}).DialContext(probe, "unix", port)
		if err != nil {
			return false, "", err
		}
		// Not with the context of the probe, which ends with the limit of the wait.
		if code, ended = nodeshell.Run(ctx, conn, s); errors.Is(ended, nodeshell.ErrNoAnswer) {
			return false, "", fmt.Errorf("%w: it boots, or its service node-shell has failed; see lab logs %s/console", ended, name)
		}
		return true, "", nil
	})
	if err != nil {
		return 0, m.WithConsole(err)
	}
	if ended != nil {
		return 0, fmt.Errorf("shell on %s: %w", name, ended)
	}
	return code, nil
}

// QEMU returns the command line of the virtual machine of a node.
func (l *Lab) QEMU(name string) ([]string, error) {
	m, err := l.powered(name)
	if err != nil {
		return nil, err
	}
	return m.Command().Args, nil
}

// Logs returns the names of the logs that there are: those of the programs of
// this host, such as "etcd" and "node1", and those of what is in a node, such
// as "node1/console" and "node1/kubelet".
func (l *Lab) Logs() ([]string, error) { return logs.List(l.dir) }

// WriteLog writes the log of that name to w.
func (l *Lab) WriteLog(w io.Writer, name string) error { return logs.Write(w, l.dir, name) }

// SaveLogs copies the output of the lab's programs, the consoles of its nodes
// included, to dir, without secrets.
func (l *Lab) SaveLogs(dir string, secrets *redact.Redactor) error {
	return logs.Save(l.dir, dir, secrets)
}
