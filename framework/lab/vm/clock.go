package vm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// makeClock makes the pipes by which the node's clock can be set.
func (m Machine) makeClock() error {
	for _, end := range []string{".in", ".out"} {
		path := m.file(clockPipe + end)
		if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("pipe %s: %w", path, err)
		}
	}
	return nil
}

// SetClock has the node take over this host's time.
func (m Machine) SetClock() (err error) {
	// QEMU holds the other end; opened for both ways, this one does not wait
	// for it.
	pipe, err := os.OpenFile(m.file(clockPipe+".in"), os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("set the clock of %s: %w", m.Name(), err)
	}
	defer func() { err = errors.Join(err, pipe.Close()) }()
	now := time.Now()
	if _, err := fmt.Fprintf(pipe, "%d.%09d\n", now.Unix(), now.Nanosecond()); err != nil {
		return fmt.Errorf("set the clock of %s: %w", m.Name(), err)
	}
	return nil
}
