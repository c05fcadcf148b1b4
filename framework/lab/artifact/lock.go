package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"pmem-memcached-e2e/framework/lockfile"

	"golang.org/x/sys/unix"
)

// Next to an artifact lie its lock, whose time is that of the last use, and the
// output of the tools that made it.
const (
	lockSuffix = ".lock"
	logSuffix  = ".log"
)

// hold keeps the artifact at path, whose lock the caller has, from being
// removed as long as s is open: its directory is locked, shared with all who
// use it. It returns false if there is none.
func (s *Store) hold(lock *os.File, path string) (bool, error) {
	if isLink(path) {
		return false, fmt.Errorf("%w: %s is a symbolic link and not a directory; lab cache verify --rebuild replaces it", ErrCache, path)
	}
	dir, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now := time.Now()
	if err := errors.Join(lockfile.Flock(dir, unix.LOCK_SH|unix.LOCK_NB), os.Chtimes(lock.Name(), now, now)); err != nil {
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
		go func() { locked <- lockfile.Flock(f, unix.LOCK_EX) }()
		select {
		case err = <-locked:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the process that holds %s: %w", path, context.Cause(ctx))
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if lockfile.Current(f, path) {
			return f, nil
		}
		f.Close()
	}
}

// tryLock locks the file at path and returns nil if somebody else
// has locked it.
func tryLock(path string) (*os.File, error) {
	f, err := lockfile.Try(path, 0o644)
	if _, held := errors.AsType[*lockfile.HeldError](err); held {
		return nil, nil
	}
	return f, err
}

func openLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	return f, nil
}
