package process

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

	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/state"
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

// Group is the processes of a lab. All are in one network namespace.
type Group struct {
	dir     state.Dir
	scale   wait.Scale
	network *os.File // while there may be no process that has it
}

// Of returns the processes of the lab in dir. The scale stretches the waits
// for them.
func Of(dir state.Dir, scale wait.Scale) *Group { return &Group{dir: dir, scale: scale} }

// List returns the living processes of the lab.
func (g *Group) List() []Process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []Process
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
		if err != nil || !bytes.Contains(environ, []byte(markDir+"="+string(g.dir)+"\x00")) || !hasUser(pid, os.Geteuid()) {
			continue
		}
		for _, v := range strings.Split(string(environ), "\x00") {
			if name, ok := strings.CutPrefix(v, markName+"="); ok {
				found = append(found, Process{name, pid, started})
			}
		}
	}
	return found
}

// passedOn are the variables that the programs of a lab get of the environment
// of the command that starts them. All others, such as credentials and
// proxies, are none of their business.
var passedOn = []string{"PATH", "HOME", "TMPDIR", "TZ", "LANG"}

// Inherited returns the variables of passedOn that are set.
func Inherited() []string {
	var env []string
	for _, v := range passedOn {
		if value, ok := os.LookupEnv(v); ok {
			env = append(env, v+"="+value)
		}
	}
	return env
}

// Environment is that of a program of the lab.
func (g *Group) Environment(name string, more []string) []string {
	return slices.Concat(Inherited(), more, []string{markDir + "=" + string(g.dir), markName + "=" + name})
}

// Find returns the process of that name.
func (g *Group) Find(name string) (Process, bool) {
	for _, p := range g.List() {
		if p.Name == name {
			return p, true
		}
	}
	return Process{}, false
}

// Start starts a program in the lab's network namespace, detached from this
// process, without capabilities and with its output in the log of that name. What arrives on exited
// is how it ended.
func (g *Group) Start(name string, cmd *exec.Cmd) (exited <-chan error, err error) {
	log, err := private.OpenAppend(g.dir.Log(name))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = string(g.dir)
	cmd.Env = g.Environment(name, cmd.Env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := g.InNetwork(func() error { return thread.WithoutCapabilities(cmd.Start) }); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		if err == nil {
			err = errors.New("exit status 0")
		}
		ended <- fmt.Errorf("%s ended (%w); the end of its log:\n%s", name, err, LogTail(g.dir.Log(name), 8))
	}()
	return ended, g.AwaitMark(name, cmd.Process.Pid)
}

// AwaitMark waits until a process that was just started can be found. Its
// environment comes a moment after the rest of it.
func (g *Group) AwaitMark(name string, pid int) error {
	often := wait.Waiter{Scale: g.scale, Interval: time.Millisecond}
	return often.Until(context.Background(), wait.LabStart, "the environment of "+name, func(context.Context) (bool, string, error) {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			// It has ended already, which whoever waits for it finds out.
			return true, "", nil
		}
		return len(environ) > 0, fmt.Sprintf("process %d has none", pid), err
	})
}

// Enter has the processes that are started from now on be in a network
// namespace, which the group holds until Leave.
func (g *Group) Enter(namespace *os.File) { g.network = namespace }

// Leave lets go of the network namespace, which the lab's processes have.
func (g *Group) Leave() {
	if g.network != nil {
		g.network.Close()
		g.network = nil
	}
}

// openNetwork opens the network namespace, which any process of the lab has.
func (g *Group) openNetwork() (*os.File, error) {
	if g.network != nil {
		return os.Open(fmt.Sprintf("/proc/self/fd/%d", g.network.Fd()))
	}
	var ended error
	for _, p := range g.List() {
		file, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", p.PID))
		if err == nil {
			return file, nil
		}
		ended = errors.Join(ended, err)
	}
	if ended != nil {
		return nil, fmt.Errorf("network namespace of lab %s: %w", g.dir.Lab(), ended)
	}
	return nil, fmt.Errorf("lab %s has no processes, and so no network: make lab-up starts it again", g.dir.Lab())
}

// InNetwork calls f on a thread that is in the lab's network namespace. A
// process that f starts inherits it; f must start no goroutine.
func (g *Group) InNetwork(f func() error) error {
	target, err := g.openNetwork()
	if err != nil {
		return err
	}
	defer target.Close()
	return thread.On(func() error {
		if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the network namespace of lab %s: %w", g.dir.Lab(), err)
		}
		return f()
	})
}

// KillAll ends all processes of the lab at once: nothing of what they hold
// outlives the lab.
func (g *Group) KillAll() error {
	var errs []error
	for _, p := range g.List() {
		errs = append(errs, p.Kill())
	}
	return errors.Join(errs...)
}

// LogTail returns the last lines of a log, or why it cannot be read.
func LogTail(path string, lines int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
