package vm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"pmem-memcached-e2e/framework/lockfile"
)

// shellPorts are ports of the virtual machine, each for one session at a time.
// The service node-shell of the node serves them.
var shellPorts = []string{"shell1", "shell2", "shell3", "shell4"}

// shellArguments are QEMU's for the ports, whose sockets file names.
func shellArguments(file func(name string) string) []string {
	var args []string
	for _, port := range shellPorts {
		args = append(args,
			"-chardev", "socket,id="+port+",server=on,wait=off,path="+file(port+".sock"),
			"-device", "virtserialport,name="+port+",chardev="+port)
	}
	return args
}

// ShellPort returns the socket of a port that no session uses until unlock is
// called.
func (m Machine) ShellPort() (path string, unlock func(), err error) { return shellPort(m.file) }

func shellPort(file func(name string) string) (path string, unlock func(), err error) {
	for _, port := range shellPorts {
		path = file(port + ".sock")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return "", nil, errors.New("its virtual machine has no port for shells: an earlier revision started it")
		}
		f, err := lockfile.Try(file(port+".lock"), 0o600)
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
