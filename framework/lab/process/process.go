// Package process starts the programs of a lab and finds them again.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a process of a lab. Its start time, in clock ticks since the host
// booted, distinguishes it from a later one with the same id.
type Process struct {
	Name    string
	PID     int
	started string
}

// Kill ends the process at once, and returns when it has ended.
func (p Process) Kill() error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("end %s (process %d): %w", p.Name, p.PID, err)
	}
	defer unix.Close(fd)
	// The descriptor may be that of a later process with the same id.
	if started, err := startTime(p.PID); err != nil || started != p.started {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("end %s (process %d): %w", p.Name, p.PID, err)
	}
	if err := AwaitExit(fd, 10*time.Second); err != nil {
		return fmt.Errorf("%s (process %d) does not end: %w", p.Name, p.PID, err)
	}
	return nil
}

// startTime returns when a process started, in clock ticks since the host
// booted (proc_pid_stat(5), field 22).
func startTime(pid int) (string, error) {
	fields, err := stat(pid)
	if err != nil {
		return "", err
	}
	return fields[19], nil
}

// stat returns the fields of a process from the third on (proc_pid_stat(5)), at least 20.
func stat(pid int) ([]string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	// The name of the program, field 2, may have spaces and parentheses in it.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields after the name", pid, len(fields))
	}
	return fields, nil
}

// hasUser reports whether a process runs with the effective id of a user.
// Anybody can write a lab's mark into the environment of a process.
func hasUser(pid, user int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(status)) {
		ids := strings.Fields(line) // Uid: real effective saved filesystem
		if len(ids) > 2 && ids[0] == "Uid:" {
			return ids[2] == strconv.Itoa(user)
		}
	}
	return false
}

// AwaitExit returns when the process behind the descriptor has ended.
func AwaitExit(pidfd int, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("still there after %s", limit)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Run runs a program of this host to its end. The error has its output.
func Run(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
