package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"pmem-memcached-e2e/framework/lockfile"
	"pmem-memcached-e2e/framework/wait"
)

// Lock keeps two commands from changing one lab at the same time.
func (d Dir) Lock() (unlock func(), err error) {
	parent, path := filepath.Dir(string(d)), string(d)+".lock"
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, fmt.Errorf("state directory of the lab: %w", err)
	}
	release, err := lockfile.Hold(path, 0o600, fmt.Sprint(os.Getpid()))
	if held, ok := errors.AsType[*lockfile.HeldError](err); ok {
		return nil, fmt.Errorf("lab %s is being changed by another command (process %s): wait for it, or name another lab with LAB_NAME", d.Lab(), held.Holder)
	}
	if err != nil {
		return nil, fmt.Errorf("lock of lab %s: %w", d.Lab(), err)
	}
	return func() {
		release()
		os.Remove(parent)
	}, nil
}

// Locked waits until no other command changes the lab, and calls f.
func (d Dir) Locked(ctx context.Context, w wait.Waiter, f func() error) error {
	var unlock func()
	if err := w.Until(ctx, wait.LabLock, "other commands to finish with lab "+d.Lab(), func(context.Context) (bool, string, error) {
		var err error
		unlock, err = d.Lock()
		return err == nil, "", err
	}); err != nil {
		return err
	}
	defer unlock()
	return f()
}
