package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pmem-memcached-e2e/framework/lab/thread"
	"pmem-memcached-e2e/framework/wait"
)

// The processes of a lab carry these variables in their environment, and have
// the id of the user whose lab it is. They are found by that, so that none is
// lost when the command that started it dies before it could write down its
// process id.
const (
	markDir  = "PMEM_LAB_DIR"
	markName = "PMEM_LAB_PROGRAM"
)

// process is a process of a lab. Its start time, in clock ticks since the host
// booted, distinguishes it from a later one with the same id.
type process struct {
	name    string
	pid     int
	started string
}

// kill ends the process at once, and returns when it has ended.
func (p process) kill() error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("end %s (process %d): %w", p.name, p.pid, err)
	}
	defer unix.Close(fd)
	// The descriptor may be that of a later process with the same id.
	if started, err := startTime(p.pid); err != nil || started != p.started {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("end %s (process %d): %w", p.name, p.pid, err)
	}
	if err := awaitExit(fd, 10*time.Second); err != nil {
		return fmt.Errorf("%s (process %d) does not end: %w", p.name, p.pid, err)
	}
	return nil
}

// processes returns the living processes of the lab.
func (l *Lab) processes() []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		started, err := startTime(pid)
		if err != nil {
			continue
		}
		environ, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil || !bytes.Contains(environ, []byte(markDir+"="+l.dir+"\x00")) || !hasUser(pid, os.Geteuid()) {
			continue
		}
		for _, v := range strings.Split(string(environ), "\x00") {
			if name, ok := strings.CutPrefix(v, markName+"="); ok {
				found = append(found, process{name, pid, started})
			}
		}
	}
	return found
}

// startTime returns when a process started, in clock ticks since the host
// booted (proc_pid_stat(5), field 22).
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The name of the program, field 2, may have spaces and parentheses in it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return "", fmt.Errorf("/proc/%d/stat has %d fields after the name", pid, len(fields))
	}
	return fields[19], nil
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

// passedOn are the variables that the programs of a lab get of the environment
// of the command that starts them. All others, such as credentials and
// proxies, are none of their business.
var passedOn = []string{"PATH", "HOME", "TMPDIR", "TZ", "LANG"}

// inherited returns the variables of passedOn that are set.
func inherited() []string {
	var env []string
	for _, v := range passedOn {
		if value, ok := os.LookupEnv(v); ok {
			env = append(env, v+"="+value)
		}
	}
	return env
}

// environment is that of a program of the lab.
func (l *Lab) environment(name string, more []string) []string {
	return slices.Concat(inherited(), more, []string{markDir + "=" + l.dir, markName + "=" + name})
}

// find returns the process of that name.
func (l *Lab) find(name string) (process, bool) {
	for _, p := range l.processes() {
		if p.name == name {
			return p, true
		}
	}
	return process{}, false
}

// start starts a program in the lab's network namespace, detached from this
// process, without capabilities and with its output in the log of that name. What arrives on exited
// is how it ended.
func (l *Lab) start(name string, cmd *exec.Cmd) (exited <-chan error, err error) {
	if err := os.MkdirAll(l.path("logs"), 0o700); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(l.path("logs", name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = l.dir
	cmd.Env = l.environment(name, cmd.Env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := l.inNamespace(func() error { return thread.WithoutCapabilities(cmd.Start) }); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		if err == nil {
			err = errors.New("exit status 0")
		}
		ended <- fmt.Errorf("%s ended (%w); the end of its log:\n%s", name, err, logTail(l.path("logs", name+".log"), 8))
	}()
	return ended, l.awaitMark(name, cmd.Process.Pid)
}

// awaitMark waits until a process that was just started can be found. Its
// environment comes a moment after the rest of it.
func (l *Lab) awaitMark(name string, pid int) error {
	often := wait.Waiter{Scale: l.wait.Scale, Interval: time.Millisecond}
	return often.Until(context.Background(), wait.LabStart, "the environment of "+name, func(context.Context) (bool, string, error) {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			// It has ended already, which whoever waits for it finds out.
			return true, "", nil
		}
		return len(environ) > 0, fmt.Sprintf("process %d has none", pid), err
	})
}

// inNamespace calls f on a thread that is in the lab's network namespace. A
// process that f starts inherits it; f must start no goroutine.
func (l *Lab) inNamespace(f func() error) error {
	target, err := l.openNetwork()
	if err != nil {
		return err
	}
	defer target.Close()
	return thread.On(func() error {
		if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the network namespace of lab %s: %w", l.opts.Name, err)
		}
		return f()
	})
}

// killAll ends all processes of the lab at once: nothing of what they hold
// outlives the lab.
func (l *Lab) killAll() error {
	var errs []error
	for _, p := range l.processes() {
		errs = append(errs, p.kill())
	}
	return errors.Join(errs...)
}

// awaitExit returns when the process behind the descriptor has ended.
func awaitExit(pidfd int, limit time.Duration) error {
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
