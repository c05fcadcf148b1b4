// Package guard is a process that outlasts the one that brings a lab up, and
// learns of its end.
package guard

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"syscall"

	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/thread"
)

// These make this executable the guard of the lab whose directories they name.
const (
	dirVariable    = "PMEM_LAB_GUARD"
	memoryVariable = "PMEM_LAB_GUARD_MEMORY"
	ownerVariable  = "PMEM_LAB_GUARD_OWNER"
)

// pipeFD is the descriptor of the guard's end of the pipe.
const pipeFD = 3

// ownerFile is in the state directory of a lab that has a guard. It holds a
// text of which no other lab has the same, so that a guard never removes a
// later lab of that name.
const ownerFile = "owner"

// Lab is what a guard removes.
type Lab struct {
	Dir    state.Dir
	Memory string // the directory of its nodes' memory
	owner  string
}

// Start starts a process that removes the lab when this process has ended
// without removing it: it holds one end of a pipe whose other end this process
// alone has, and which the kernel closes. The guard does not carry the lab's
// mark: it is not in the lab's network, and outlasts the lab's processes. It
// ends when the other end of the pipe, which is returned, is closed.
func Start(l Lab) (guard *os.Process, pipe *os.File, err error) {
	owner := rand.Text()
	if err := private.WriteFile(l.Dir.Path(ownerFile), []byte(owner)); err != nil {
		return nil, nil, err
	}
	log, err := private.OpenAppend(l.Dir.Log("guard"))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args[0] = "lab-guard"
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(process.Inherited(), dirVariable+"="+string(l.Dir), memoryVariable+"="+l.Memory, ownerVariable+"="+owner)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := thread.On(func() error { return thread.WithoutCapabilities(cmd.Start) }); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start the guard of the lab: %w", err), ours.Close())
	}
	go func() { _ = cmd.Wait() }() // it is in its log
	return cmd.Process, ours, nil
}

// Started returns the lab whose guard this process is, if it was started as one.
func Started() (l Lab, ok bool) {
	dir := os.Getenv(dirVariable)
	return Lab{state.Dir(dir), os.Getenv(memoryVariable), os.Getenv(ownerVariable)}, dir != ""
}

// Await returns when the process that has started this one as a guard has ended
// or has dismissed it.
func Await() error {
	pipe := os.NewFile(pipeFD, "pipe")
	_, err := io.Copy(io.Discard, pipe) // nothing is ever written to it
	return err
}

// Owned reports whether the lab is still the one that the guard was started for.
func (l Lab) Owned() (bool, error) {
	owner, err := os.ReadFile(l.Dir.Path(ownerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && string(owner) == l.owner, err
}
