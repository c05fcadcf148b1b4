package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"syscall"

	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/thread"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/wait"
)

// These make this executable the guard of the lab whose directories they name.
const (
	guardVariable       = "PMEM_LAB_GUARD"
	guardMemoryVariable = "PMEM_LAB_GUARD_MEMORY"
	guardOwnerVariable  = "PMEM_LAB_GUARD_OWNER"
)

// guardFD is the descriptor of the guard's end of the pipe.
const guardFD = 3

// ownerFile is in the state directory of a lab that has a guard. It holds a
// text of which no other lab has the same, so that a guard never removes a
// later lab of that name.
const ownerFile = "owner"

// startGuard starts a process that removes the lab when this process has ended
// without removing it: it holds one end of a pipe whose other end this process
// alone has, and which the kernel closes. The guard does not carry the lab's
// mark: it is not in the lab's network, and outlasts the lab's processes.
func (l *Lab) startGuard() (*os.Process, error) {
	owner := rand.Text()
	if err := private.WriteFile(l.dir.Path(ownerFile), []byte(owner)); err != nil {
		return nil, err
	}
	log, err := private.OpenAppend(l.dir.Log("guard"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args[0] = "lab-guard"
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(process.Inherited(), guardVariable+"="+string(l.dir), guardMemoryVariable+"="+l.memory, guardOwnerVariable+"="+owner)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := thread.On(func() error { return thread.WithoutCapabilities(cmd.Start) }); err != nil {
		return nil, errors.Join(fmt.Errorf("start the guard of the lab: %w", err), ours.Close())
	}
	l.guard = ours
	go func() { _ = cmd.Wait() }() // it is in its log
	return cmd.Process, nil
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
	if dir := os.Getenv(guardVariable); dir != "" {
		if err := runGuard(state.Dir(dir)); err != nil {
			fmt.Fprintln(os.Stderr, "guard:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// runGuard returns when the process that started it has ended and its lab is
// gone.
func runGuard(dir state.Dir) error {
	pipe := os.NewFile(guardFD, "pipe")
	if _, err := io.Copy(io.Discard, pipe); err != nil { // nothing is ever written to it
		return err
	}
	l := &Lab{opts: Options{Name: dir.Lab()}, dir: dir, memory: os.Getenv(guardMemoryVariable), progress: progress.Lines(os.Stderr), programs: process.Of(dir, wait.Scale{}), state: state.Of(dir)}
	return l.change(context.Background(), func() error {
		owner, err := os.ReadFile(l.dir.Path(ownerFile))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || string(owner) != os.Getenv(guardOwnerVariable) {
			return err
		}
		return l.remove()
	})
}
