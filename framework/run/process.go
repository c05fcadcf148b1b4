package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"
)

var errInterrupted = errors.New("interrupted")

// untilSignal returns a context that ends with the first signal; its cause is
// then errInterrupted. stop ends the watching; a signal that comes later stays
// in the channel.
func untilSignal(parent context.Context, signals <-chan os.Signal) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-signals:
			cancel(errInterrupted)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(context.Canceled)
		<-stopped
	}
}

// ownGroup puts cmd into a process group of its own, so that a signal from the
// terminal reaches the runner alone. It gets SIGHUP when the thread that starts
// it ends.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGHUP}
}

func killGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // nothing is left to signal: fine
}

// patience bounds how long a suite may run.
type patience struct {
	run   time.Duration // then it is interrupted
	grace time.Duration // from an interrupt to SIGKILL
}

// supervise runs each command in its own process group to its end. The first
// signal interrupts them so that they can clean up and report; the second, or
// the end of the grace period, kills the groups. No process of a group outlives
// the call. The error is errInterrupted after a signal; the exit code of a
// command that was killed, or did not start, is -1. over is called, with its
// index, when a command has ended.
func supervise(cmds []*exec.Cmd, over func(int), signals <-chan os.Signal, p patience, progress io.Writer) (exitCodes []int, err error) {
	runtime.LockOSThread() // which lives as long as the processes then
	defer runtime.UnlockOSThread()
	exitCodes = slices.Repeat([]int{-1}, len(cmds))
	ended := make(chan int)
	running := map[int]*exec.Cmd{}
	defer func() {
		for _, cmd := range running {
			killGroup(cmd)
		}
		for range running {
			<-ended
		}
	}()
	for i, cmd := range cmds {
		ownGroup(cmd)
		if err := cmd.Start(); err != nil {
			return exitCodes, fmt.Errorf("start the suite: %w", err)
		}
		running[i] = cmd
		go func() {
			_ = cmd.Wait() // the state says it all
			ended <- i
		}()
	}

	limit := time.NewTimer(p.run)
	defer limit.Stop()
	var grace <-chan time.Time
	var cause error
	interrupt := func(why error, text string) {
		fmt.Fprintln(progress, text)
		cause = why
		grace = time.After(p.grace)
		for _, cmd := range running {
			_ = cmd.Process.Signal(syscall.SIGINT)
		}
	}
	kill := func() {
		for _, cmd := range running {
			killGroup(cmd)
		}
	}
	for len(running) > 0 {
		select {
		case i := <-ended:
			killGroup(cmds[i]) // what it has left running
			exitCodes[i] = cmds[i].ProcessState.ExitCode()
			delete(running, i)
			over(i)
		case s := <-signals:
			if grace == nil {
				interrupt(errInterrupted, fmt.Sprintf("%v: the suite cleans up, at most %s; a second signal kills it", s, p.grace))
				continue
			}
			fmt.Fprintf(progress, "%v: the suite is killed\n", s)
			cause = errInterrupted
			kill()
		case <-limit.C:
			if grace == nil {
				interrupt(fmt.Errorf("the suite did not end within %s", p.run), fmt.Sprintf("the suite runs for %s: it is interrupted", p.run))
			}
		case <-grace:
			fmt.Fprintf(progress, "the suite did not end %s after the interrupt: it is killed\n", p.grace)
			kill()
		}
	}
	return exitCodes, cause
}
