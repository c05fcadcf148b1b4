package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
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

// supervise runs cmd in its own process group to its end. The first signal
// interrupts it so that it can clean up and report; the second, or the end of
// the grace period, kills the group. No process of the group outlives the call.
// The error is errInterrupted after a signal; exitCode is -1 when cmd was
// killed.
func supervise(cmd *exec.Cmd, signals <-chan os.Signal, p patience, progress io.Writer) (exitCode int, err error) {
	runtime.LockOSThread() // which lives as long as the process then
	defer runtime.UnlockOSThread()
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return -1, fmt.Errorf("start the suite: %w", err)
	}
	defer killGroup(cmd)
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the state says it all
		close(ended)
	}()

	limit := time.NewTimer(p.run)
	defer limit.Stop()
	var grace <-chan time.Time
	var cause error
	interrupt := func(why error, text string) {
		fmt.Fprintln(progress, text)
		cause = why
		grace = time.After(p.grace)
		_ = cmd.Process.Signal(syscall.SIGINT)
	}
	for {
		select {
		case <-ended:
			return cmd.ProcessState.ExitCode(), cause
		case s := <-signals:
			if grace == nil {
				interrupt(errInterrupted, fmt.Sprintf("%v: the suite cleans up, at most %s; a second signal kills it", s, p.grace))
				continue
			}
			fmt.Fprintf(progress, "%v: the suite is killed\n", s)
			cause = errInterrupted
			killGroup(cmd)
		case <-limit.C:
			if grace == nil {
				interrupt(fmt.Errorf("the suite did not end within %s", p.run), fmt.Sprintf("the suite runs for %s: it is interrupted", p.run))
			}
		case <-grace:
			fmt.Fprintf(progress, "the suite did not end %s after the interrupt: it is killed\n", p.grace)
			killGroup(cmd)
		}
	}
}
