package lab

import (
	"context"
	"fmt"
	"os"

	"pmem-memcached-e2e/framework/lab/guard"
	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/wait"
)

// startGuard has the lab be removed when this process ends without removing it.
func (l *Lab) startGuard() (process *os.Process, err error) {
	process, l.guard, err = guard.Start(guard.Lab{Dir: l.dir, Memory: l.memory})
	return process, err
}

// dismissGuard lets the guard of a lab that was removed end.
func (l *Lab) dismissGuard() error {
	if l.guard == nil {
		return nil
	}
	err := l.guard.Close()
	l.guard = nil
	return err
}

// RunProgram runs this process as a lab's forwarder or guard if it was started
// as one, and then does not return. A program that brings labs up calls it
// first.
func RunProgram() {
	plane.RunForwarder()
	if of, ok := guard.Started(); ok {
		if err := runGuard(of); err != nil {
			fmt.Fprintln(os.Stderr, "guard:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// runGuard returns when the process that started it has ended and its lab is
// gone.
func runGuard(of guard.Lab) error {
	if err := guard.Await(); err != nil {
		return err
	}
	l := &Lab{opts: Options{Name: of.Dir.Lab()}, dir: of.Dir, memory: of.Memory, progress: progress.Lines(os.Stderr),
		programs: process.Of(of.Dir, wait.Scale{}), state: state.Of(of.Dir)}
	return l.dir.Locked(context.Background(), l.wait, func() error {
		if owned, err := of.Owned(); err != nil || !owned {
			return err
		}
		return l.remove()
	})
}
