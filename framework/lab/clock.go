package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"pmem-memcached-e2e/framework/lab/topology"

	"golang.org/x/sys/unix"
)

// makeClock makes the pipes by which the node's clock can be set.
func (l *Lab) makeClock(n topology.Node) error {
	for _, end := range []string{".in", ".out"} {
		path := l.dir.Node(n, clockPipe+end)
		if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("pipe %s: %w", path, err)
		}
	}
	return nil
}

// setClock has the node take over this host's time.
func (l *Lab) setClock(n topology.Node) (err error) {
	// QEMU holds the other end; opened for both ways, this one does not wait
	// for it.
	pipe, err := os.OpenFile(l.dir.Node(n, clockPipe+".in"), os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("set the clock of %s: %w", n.Name(), err)
	}
	defer func() { err = errors.Join(err, pipe.Close()) }()
	now := time.Now()
	if _, err := fmt.Fprintf(pipe, "%d.%09d\n", now.Unix(), now.Nanosecond()); err != nil {
		return fmt.Errorf("set the clock of %s: %w", n.Name(), err)
	}
	return nil
}
