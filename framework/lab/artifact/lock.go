package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Beside an artifact lie its lock, whose time is that of the last use, and the
// output of the tools that made it.
const (
	lockSuffix = ".lock"
	logSuffix  = ".log"
)

// hold keeps the artifact at path, whose lock the caller has, from being
// removed as long as s is open: its directory is locked, shared with all who
// use it. It returns false if there is none.
func (s *Store) hold(lock *os.File, path string) (bool, error) {
	dir, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now := time.Now()
	if err := errors.Join(flock(dir, unix.LOCK_SH|unix.LOCK_NB), os.Chtimes(lock.Name(), now, now)); err != nil {
		return false, errors.Join(fmt.Errorf("note the use of %s: %w", path, err), dir.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[path] != nil {
		return true, dir.Close()
	}
	s.held[path] = dir
	return true, nil
}

// lockFile opens and locks the file at path, and waits until that is possible.
func lockFile(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := openLock(path)
		if err != nil {
			return nil, err
		}
		locked := make(chan error, 1)
		go func() { locked <- flock(f, unix.LOCK_EX) }()
		select {
		case err = <-locked:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the process that holds %s: %w", path, context.Cause(ctx))
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if current(f, path) {
			return f, nil
		}
		f.Close()
	}
}

// tryLock locks the file at path and returns nil if somebody else
// has locked it.
func tryLock(path string) (*os.File, error) {
	f, err := openLock(path)
	if err != nil {
		return nil, err
	}
	err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || err == nil && !current(f, path) {
		return nil, f.Close()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func openLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	return f, nil
}

func flock(f *os.File, how int) error {
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

// current reports whether f is still the file at path: whoever removes an
// artifact removes its lock, too.
func current(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(open, named)
}
