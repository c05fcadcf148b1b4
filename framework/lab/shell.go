package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"pmem-memcached-e2e/framework/lab/nodeshell"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/lockfile"
	"pmem-memcached-e2e/framework/wait"
)

// shellPorts are ports of the virtual machine, each for one session at a time.
// The service node-shell of the node serves them.
var shellPorts = []string{"shell1", "shell2", "shell3", "shell4"}

// shellArguments are QEMU's for the ports.
func (l *Lab) shellArguments(n topology.Node) []string {
	var args []string
	for _, port := range shellPorts {
		args = append(args,
			"-chardev", "socket,id="+port+",server=on,wait=off,path="+l.dir.Node(n, port+".sock"),
			"-device", "virtserialport,name="+port+",chardev="+port)
	}
	return args
}

// Shell carries out a command on the node of that name, as root and without
// the help of Kubernetes or the network, and returns its exit code. The lab
// need not be up to its end.
func (l *Lab) Shell(ctx context.Context, name string, s nodeshell.Session) (code int, err error) {
	n, l, err := l.planned(name)
	if err != nil {
		return 0, err
	}
	if state := l.power(ctx, n); state != Running {
		return 0, fmt.Errorf("shell on %s: %w: the node is %s", name, ErrPower, state)
	}
	port, unlock, err := l.shellPort(n)
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
		return 0, l.console(n, err)
	}
	if ended != nil {
		return 0, fmt.Errorf("shell on %s: %w", name, ended)
	}
	return code, nil
}

// shellPort returns the socket of a port that no session uses until unlock is
// called.
func (l *Lab) shellPort(n topology.Node) (path string, unlock func(), err error) {
	for _, port := range shellPorts {
		path = l.dir.Node(n, port+".sock")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return "", nil, errors.New("its virtual machine has no port for shells: an earlier revision started it")
		}
		f, err := lockfile.Try(l.dir.Node(n, port+".lock"), 0o600)
		if _, held := errors.AsType[*lockfile.HeldError](err); held {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		return path, func() { f.Close() }, nil
	}
	return "", nil, fmt.Errorf("all %d ports for shells are in use: end one of the others", len(shellPorts))
}
