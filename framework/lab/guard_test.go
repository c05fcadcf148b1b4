package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/thread"
	"pmem-memcached-e2e/framework/wait"
)

// ownerVariable makes the test's executable a run that has brought up the lab
// whose directories it names.
const ownerVariable = "PMEM_LAB_TEST_OWNER"

// ownLab leaves a lab with a guard, says the guard's process id and waits until
// its input ends.
func ownLab() {
	dir, memory, ok := strings.Cut(os.Getenv(ownerVariable), ":")
	if !ok {
		return
	}
	l := &Lab{opts: Options{Name: "test"}, dir: state.Dir(dir), memory: memory, programs: process.Of(state.Dir(dir), wait.Scale{}), state: state.Of(state.Dir(dir))}
	sleeper := exec.Command("sleep", "600")
	sleeper.Env = l.programs.Environment("etcd", nil)
	guard, err := l.startGuard()
	started := thread.On(func() error { return thread.WithoutCapabilities(sleeper.Start) })
	if err := errors.Join(err, os.MkdirAll(memory, 0o700), started); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(guard.Pid)
	_, _ = io.Copy(io.Discard, os.Stdin)
	if l.remove() != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

func TestGuard(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(l *Lab, owner *os.Process, stdin io.Closer) error
		left bool
	}{
		{"its owner was killed", func(_ *Lab, owner *os.Process, _ io.Closer) error { return owner.Kill() }, false},
		{"its owner has removed the lab", func(_ *Lab, _ *os.Process, stdin io.Closer) error { return stdin.Close() }, false},
		{"the lab is another one's by now", func(l *Lab, owner *os.Process, _ io.Closer) error {
			return errors.Join(private.WriteFile(l.dir.Path("owner"), []byte("another")), owner.Kill())
		}, true},
		{"the lab has no owner by now", func(l *Lab, owner *os.Process, _ io.Closer) error {
			return errors.Join(os.Remove(l.dir.Path("owner")), owner.Kill())
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := testLab(t)
			owner := exec.Command("/proc/self/exe")
			owner.Env = append(os.Environ(), ownerVariable+"="+string(l.dir)+":"+l.memory)
			owner.Stderr = t.Output()
			stdin, err := owner.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := owner.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := owner.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := l.programs.KillAll(); err != nil {
					t.Error(err)
				}
			})
			var pid int
			if _, err := fmt.Fscan(bufio.NewReader(stdout), &pid); err != nil {
				t.Fatal(err)
			}
			guard, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(guard)
			if s := l.inspect(); s.Dir == "" || s.Memory == "" || len(s.Processes) != 1 {
				t.Fatalf("before: %s", s)
			}
			if err := tt.end(l, owner.Process, stdin); err != nil {
				t.Fatal(err)
			}
			_ = owner.Wait() // it may have been killed
			if err := process.AwaitExit(guard, 20*time.Second); err != nil {
				t.Fatalf("the guard: %v", err)
			}
			if s := l.inspect(); s.present() != tt.left {
				t.Errorf("the lab is there: %v, want %v; %s", s.present(), tt.left, s)
			}
		})
	}
}
