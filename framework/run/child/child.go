// Package child is the part of a run in the process that runs the specs.
package child

import (
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Lifeline is the descriptor of a pipe whose other end the parent holds open
// as long as it lives.
const Lifeline = 4

// grace is what the clean-up gets once the parent has ended.
const grace = 7 * time.Second

// Follow interrupts this process with SIGTERM, once, when it gets SIGHUP or
// its parent ends. After the end of the parent, it kills the process group
// when the grace period is over, clean-up or not.
func Follow() {
	interrupt := sync.OnceFunc(func() { _ = syscall.Kill(os.Getpid(), syscall.SIGTERM) })
	signal.Ignore(syscall.SIGPIPE) // what is printed goes to the parent, which may have ended
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		for range hangup {
			interrupt()
		}
	}()
	go func() {
		syscall.CloseOnExec(Lifeline)
		_, _ = io.Copy(io.Discard, os.NewFile(Lifeline, "lifeline"))
		time.AfterFunc(grace, func() {
			if syscall.Getpgrp() == os.Getpid() {
				_ = syscall.Kill(0, syscall.SIGKILL)
			}
			os.Exit(1)
		})
		interrupt()
	}()
}
