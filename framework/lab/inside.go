package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"pmem-memcached-e2e/framework/lab/logs"
	"pmem-memcached-e2e/framework/lab/nodeshell"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/wait"
)

// Shell carries out a command on the node of that name, as root and without
// the help of Kubernetes or the network, and returns its exit code. The lab
// need not be up to its end.
func (l *Lab) Shell(ctx context.Context, name string, s nodeshell.Session) (code int, err error) {
	m, err := l.planned(name)
	if err != nil {
		return 0, err
	}
	if state := l.power(ctx, m); state != vm.Running {
		return 0, fmt.Errorf("shell on %s: %w: the node is %s", name, ErrPower, state)
	}
	port, unlock, err := m.ShellPort()
	if err != nil {
		return 0, fmt.Errorf("shell on %s: %w", name, err)
	}
	defer unlock()
	var ended error
	err = l.wait.Until(ctx, wait.LabShell, name+" to answer on its port for shells", func(probe context.Context) (bool, string, error) {
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
