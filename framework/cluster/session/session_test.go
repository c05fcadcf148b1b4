package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// shells are those of the images: that of Debian, and those of others where they are installed.
func shells(t *testing.T) [][]string {
	found := [][]string{{"sh"}}
	for _, other := range [][]string{{"bash", "--posix"}, {"busybox", "sh"}, {"mksh"}} {
		if _, err := exec.LookPath(other[0]); err == nil {
			found = append(found, other)
		}
	}
	t.Logf("shells: %q", found)
	return found
}

// local runs commands on this machine, with another shell in place of sh.
type local struct {
	shell   []string
	mu      sync.Mutex
	started []*exec.Cmd
}

func (l *local) start(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, command ...string) (int, error) {
	command = append(l.shell[:len(l.shell):len(l.shell)], command[1:]...)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	input, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = 100 * time.Millisecond
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	l.started = append(l.started, cmd)
	l.mu.Unlock()
	go func() {
		_, _ = io.Copy(input, stdin)
		_ = input.Close()
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case errors.As(err, &exit) && exit.ExitCode() < 0:
		return 137, nil // as a container runtime reports SIGKILL
	case errors.As(err, &exit):
		return exit.ExitCode(), nil
	}
	return 0, err
}

// shell is the process of the only shell that was started.
func (l *local) process() *os.Process {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started[0].Process
}

func opened(t *testing.T, l *local) *Session {
	t.Helper()
	s, err := Open(t.Context(), l.start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		limited, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Wait(limited)
		if !s.isOver() || !s.Over() {
			t.Error("the shell has not ended")
		}
	})
	return s
}

func TestCommands(t *testing.T) {
	every := make([]byte, 0, 255)
	for c := range 255 {
		every = append(every, byte(c+1))
	}
	for _, shell := range shells(t) {
		t.Run(shell[0], func(t *testing.T) {
			s := opened(t, &local{shell: shell})
			for _, test := range []struct {
				name    string
				command []string
				want    Result
			}{
				{"nothing", []string{"true"}, Result{}},
				{"a line", []string{"echo", "a"}, Result{Stdout: "a\n"}},
				{"no line feed at the end", []string{"printf", "a"}, Result{Stdout: "a"}},
				{"both streams", []string{"sh", "-c", "printf a; printf b >&2; exit 3"}, Result{"a", "b", 3}},
				{"arguments", []string{"sh", "-c", `printf '<%s>' "$@"`, "sh", "", "a b", "'", `"$HOME"`, "$(id)", "`id`", "a\nb", "*", "\\", "#", "~"},
					Result{Stdout: "<><a b><'><\"$HOME\"><$(id)><`id`><a\nb><*><\\><#><~>"}},
				{"every byte as an argument", []string{"printf", "%s", string(every)}, Result{Stdout: string(every)}},
				{"every byte as output", []string{"sh", "-c", `i=0; while [ $i -lt 256 ]; do printf "\\$(printf %o $i)"; i=$((i+1)); done`}, Result{Stdout: "\x00" + string(every)}},
				{"what looks like a mark", []string{"printf", "ABC-1:0\nabsent\n-2:"}, Result{Stdout: "ABC-1:0\nabsent\n-2:"}},
				{"no standard input", []string{"cat"}, Result{}},
				{"the exit code of one that another ends", []string{"sh", "-c", "kill -9 $$"}, Result{ExitCode: 137}},
				{"nothing is left of the ones before", []string{"sh", "-c", `cd /; left=1; export left; trap 'echo left' EXIT; umask 077; exit 0`}, Result{Stdout: "left\n"}},
				{"really nothing", []string{"sh", "-c", `[ "$PWD" != / ] && echo "$left" && umask`}, Result{Stdout: "\n0022\n"}},
			} {
				got, err := s.Run(t.Context(), test.command...)
				if err != nil || got != test.want {
					t.Errorf("%s: got %+v, %v, want %+v", test.name, got, err, test.want)
				}
			}
			for name, fails := range map[string]string{"a name that is not there": "no-such-program-anywhere", "a directory": "/proc/none/sh", "an option": "-x", "nothing": ""} {
				if got, err := s.Run(t.Context(), fails); !errors.Is(err, ErrNotRun) {
					t.Errorf("%s: got %+v, %v, want that it was not run", name, got, err)
				}
			}
			if got, err := s.Run(t.Context(), "echo", "still there"); err != nil || got.Stdout != "still there\n" {
				t.Errorf("after all: %+v, %v", got, err)
			}
		})
	}
}

func TestMuchOutput(t *testing.T) {
	s := opened(t, &local{shell: []string{"sh"}})
	got, err := s.Run(t.Context(), "sh", "-c", "head -c 5000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 7")
	if err != nil || len(got.Stdout) != 5000000 || len(got.Stderr) != 3000000 || got.ExitCode != 7 || bytes.Trim([]byte(got.Stdout), "\x00") != nil && len(bytes.Trim([]byte(got.Stdout), "\x00")) > 0 {
		t.Errorf("got %d and %d bytes, exit code %d, %v", len(got.Stdout), len(got.Stderr), got.ExitCode, err)
	}
	long := strings.Repeat("x", 100_000)
	if got, err := s.Run(t.Context(), "printf", "%s", long); err != nil || got.Stdout != long {
		t.Errorf("a long argument: got %d bytes, %v", len(got.Stdout), err)
	}
}

func TestOneAtATime(t *testing.T) {
	s := opened(t, &local{shell: []string{"sh"}})
	var all sync.WaitGroup
	var mu sync.Mutex
	ran := 0
	for i := range 20 {
		all.Go(func() {
			want := fmt.Sprint(i)
			got, err := s.Run(t.Context(), "echo", want)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, ErrNotRun):
			case err != nil || got.Stdout != want+"\n":
				t.Errorf("got %+v, %v, want %s", got, err, want)
			default:
				ran++
			}
		})
	}
	all.Wait()
	if ran == 0 {
		t.Error("none of the commands was run")
	}
}

// TestLateOutput makes sure that what a command has left running does not write into the output of those after it
// before they have begun.
func TestLateOutput(t *testing.T) {
	s := opened(t, &local{shell: []string{"sh"}})
	fifo := t.TempDir() + "/fifo"
	if _, err := s.Run(t.Context(), "mkfifo", fifo); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), "sh", "-c", `{ echo late; echo late >&2; echo done >"$1"; } &`, "sh", fifo); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(fifo); err != nil { // it has written
		t.Fatal(err)
	}
	if got, err := s.Run(t.Context(), "echo", "a"); err != nil || got.Stdout != "a\n" || got.Stderr != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestKilledDuringACommand(t *testing.T) {
	l := &local{shell: []string{"sh"}}
	s := opened(t, l)
	got, err := s.Run(t.Context(), "sh", "-c", fmt.Sprintf("echo a; kill -9 %d; sleep 60", l.process().Pid))
	if err != nil || got.ExitCode != 137 || got.Stdout != "a\n" {
		t.Errorf("got %+v, %v, want what a killed process leaves", got, err)
	}
	if got, err := s.Run(t.Context(), "echo", "b"); !errors.Is(err, ErrNotRun) {
		t.Errorf("afterwards: got %+v, %v, want that it was not run", got, err)
	}
}

func TestKilledBefore(t *testing.T) {
	l := &local{shell: []string{"sh"}}
	s := opened(t, l)
	if err := l.process().Kill(); err != nil {
		t.Fatal(err)
	}
	marker := t.TempDir() + "/ran"
	if got, err := s.Run(t.Context(), "touch", marker); !errors.Is(err, ErrNotRun) {
		t.Errorf("got %+v, %v, want that it was not run", got, err)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("the command has run")
	}
}

// TestHung has a shell that does not answer any more, as on a node that has lost its power.
func TestHung(t *testing.T) {
	hung := make(chan struct{})
	l := &local{shell: []string{"sh"}}
	s, err := Open(t.Context(), func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, command ...string) (int, error) {
		return l.start(ctx, stdin, &cut{stdout, hung}, stderr, command...)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.answerLimit = 50 * time.Millisecond
	close(hung)
	if got, err := s.Run(t.Context(), "echo", "a"); !errors.Is(err, ErrNotRun) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %+v, %v, want that it was not run", got, err)
	}
	if !s.Over() {
		t.Error("it takes commands")
	}
}

// cut is a stream that loses everything once it is hung.
type cut struct {
	io.Writer
	hung chan struct{}
}

func (c *cut) Write(p []byte) (int, error) {
	select {
	case <-c.hung:
		return len(p), nil
	default:
		return c.Writer.Write(p)
	}
}

func TestCancelled(t *testing.T) {
	s := opened(t, &local{shell: []string{"sh"}})
	limited, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if got, err := s.Run(limited, "sleep", "60"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNotRun) {
		t.Errorf("got %+v, %v, want that the time is over", got, err)
	}
	if got, err := s.Run(t.Context(), "echo", "a"); !errors.Is(err, ErrNotRun) {
		t.Errorf("afterwards: got %+v, %v, want that it was not run", got, err)
	}
}

func TestConnectionLost(t *testing.T) {
	lost := errors.New("the connection is lost")
	l := &local{shell: []string{"sh"}}
	s, err := Open(t.Context(), func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, command ...string) (int, error) {
		_, _ = l.start(ctx, stdin, stdout, stderr, command...)
		return 0, lost
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Run(t.Context(), "sh", "-c", fmt.Sprintf("kill -9 %d; sleep 60", l.process().Pid)); !errors.Is(err, lost) || errors.Is(err, ErrNotRun) {
		t.Errorf("got %+v, %v, want %v", got, err, lost)
	}
}

func TestNoShell(t *testing.T) {
	refused := errors.New("forbidden")
	_, err := Open(t.Context(), func(context.Context, io.Reader, io.Writer, io.Writer, ...string) (int, error) { return 0, refused })
	if !errors.Is(err, refused) {
		t.Errorf("got %v, want %v", err, refused)
	}
	_, err = Open(t.Context(), func(context.Context, io.Reader, io.Writer, io.Writer, ...string) (int, error) { return 127, nil })
	var ended *EndedError
	if !errors.As(err, &ended) || ended.ExitCode != 127 {
		t.Errorf("got %v, want exit code 127", err)
	}
}

func TestClose(t *testing.T) {
	l := &local{shell: []string{"sh"}}
	s := opened(t, l)
	gate := t.TempDir() + "/gate"
	if _, err := s.Run(t.Context(), "mkfifo", gate); err != nil {
		t.Fatal(err)
	}
	done := make(chan Result)
	go func() {
		got, _ := s.Run(t.Context(), "cat", gate)
		done <- got
	}()
	writer, err := os.OpenFile(gate, os.O_WRONLY, 0) // once it is read
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := io.WriteString(writer, "to the end"); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	if got := <-done; got.Stdout != "to the end" {
		t.Errorf("the command that ran meanwhile: got %+v", got)
	}
	<-s.ended
	if s.code != 0 || s.err != nil {
		t.Errorf("the shell has ended with %d, %v", s.code, s.err)
	}
}

func BenchmarkQuestion(b *testing.B) {
	l := &local{shell: []string{"sh"}}
	s, err := Open(b.Context(), l.start)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		if _, err := s.Run(b.Context(), "true"); err != nil {
			b.Fatal(err)
		}
	}
}
