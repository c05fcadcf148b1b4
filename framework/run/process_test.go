package run

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell returns a real child that says "up" once its traps are set; ready is
// closed then.
func shell(t *testing.T, script string) (cmd *exec.Cmd, ready <-chan string) {
	t.Helper()
	cmd = exec.Command("sh", "-c", script)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = write
	lines := make(chan string, 10)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(read); s.Scan(); {
			lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = write.Close()
		_ = read.Close()
	})
	return cmd, lines
}

func TestSupervise(t *testing.T) {
	const nap = `while :; do sleep 0.05; done`
	patient := patience{run: time.Minute, grace: time.Minute}
	tests := []struct {
		name    string
		script  string
		signals int // sent once the child is up, the next when it has said so
		p       patience
		code    int
		err     string // part of it; empty: none
		says    string
	}{
		{"ends well", `echo up; exit 0`, 0, patient, 0, "", ""},
		{"ends badly", `echo up; exit 7`, 0, patient, 7, "", ""},
		{"first signal lets it clean up", `trap 'exit 5' INT; echo up; ` + nap, 1, patient, 5, "interrupted", "cleans up"},
		{"second signal kills it", `trap 'echo again' INT; echo up; ` + nap, 2, patient, -1, "interrupted", "is killed"},
		{"grace ends", `trap '' INT; echo up; ` + nap, 1, patience{time.Minute, 200 * time.Millisecond}, -1, "interrupted", "did not end"},
		{"limit", `trap 'exit 6' INT; echo up; ` + nap, 0, patience{500 * time.Millisecond, time.Minute}, 6, "within 500ms", "is interrupted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd, lines := shell(t, tt.script)
			signals := make(chan os.Signal, 2)
			go func() {
				for range tt.signals {
					<-lines
					signals <- syscall.SIGINT
				}
			}()
			var says strings.Builder
			codes, err := supervise([]*exec.Cmd{cmd}, func(int) {}, signals, tt.p, &says)
			code := codes[0]
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if (err == nil) != (tt.err == "") || (err != nil && !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if !strings.Contains(says.String(), tt.says) {
				t.Errorf("said %q, want %q in it", &says, tt.says)
			}
		})
	}
}

func TestSuperviseLeavesNoProcess(t *testing.T) {
	cmd, lines := shell(t, `sleep 300 & echo $!; exit 0`)
	if _, err := supervise([]*exec.Cmd{cmd}, func(int) {}, make(chan os.Signal), patience{time.Minute, time.Minute}, io.Discard); err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(<-lines)
	if err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if errors.Is(err, os.ErrNotExist) || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("process %d outlived the suite: %s", pid, stat)
		}
	}
}

func TestSuperviseCannotStart(t *testing.T) {
	_, err := supervise([]*exec.Cmd{exec.Command("/nonexistent/suite")}, func(int) {}, make(chan os.Signal), patience{time.Minute, time.Minute}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/suite") {
		t.Errorf("error %v, want one that names the program", err)
	}
}

func TestUntilSignal(t *testing.T) {
	signals := make(chan os.Signal, 2)
	ctx, stop := untilSignal(t.Context(), signals)
	signals <- syscall.SIGTERM
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, errInterrupted) {
		t.Errorf("cause %v, want %v", cause, errInterrupted)
	}
	stop()

	ctx, stop = untilSignal(t.Context(), signals)
	stop()
	stop() // twice does no harm
	if cause := context.Cause(ctx); errors.Is(cause, errInterrupted) {
		t.Error("stopped without a signal, yet interrupted")
	}
	signals <- syscall.SIGTERM
	if len(signals) != 1 {
		t.Error("a signal after stop was taken away")
	}
}
