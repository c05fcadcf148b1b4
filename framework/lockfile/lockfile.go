// Package lockfile keeps processes from using one thing at the same time, by a
// lock on a file that ends with the process.
package lockfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// HeldError is returned when another process has the lock.
type HeldError struct {
	Path   string
	Holder string // what that process has written into the file
}

func (e *HeldError) Error() string { return fmt.Sprintf("%s is locked by %s", e.Path, e.Holder) }

// Try locks the file at path, which it makes if need be with permission perm. It
// does not follow a link. The lock ends when the file is closed. When another
// process has it, the error is a *HeldError.
func Try(path string, perm os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, perm)
	if err != nil {
		return nil, err
	}
	err = Flock(f, unix.LOCK_EX|unix.LOCK_NB)
	// Who removes the file does so while it is locked: a lock on one that is no
	// longer at path came too late as well.
	if errors.Is(err, unix.EWOULDBLOCK) || err == nil && !Current(f, path) {
		holder, _ := io.ReadAll(io.NewSectionReader(f, 0, 4096))
		return nil, errors.Join(&HeldError{Path: path, Holder: strings.TrimSpace(string(holder))}, f.Close())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Hold is Try, and writes into the file who holds it. unlock removes the file.
func Hold(path string, perm os.FileMode, holder string) (unlock func(), err error) {
	f, err := Try(path, perm)
	if err != nil {
		return nil, err
	}
	unlock = func() {
		_ = os.Remove(path)
		_ = f.Close()
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintln(f, holder)
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// Flock is flock(2), tried again when a signal interrupts it.
func Flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		return nil
	}
}

// Current reports whether f is still the file at path.
func Current(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(open, named)
}
