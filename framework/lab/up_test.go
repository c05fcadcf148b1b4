package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/vm/standin"
	"pmem-memcached-e2e/framework/progress"
)

// begun is a phase that leaves a process, a log and a state file.
func begun(t *testing.T, l *Lab) phase {
	return phase{"begin", func(context.Context) error {
		cmd := standin.Sleep(t, l.programs, "etcd")
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
		return errors.Join(private.WriteFile(l.dir.Key("ca.key"), []byte("secret")), private.WriteFile(l.dir.Log("etcd"), []byte("etcd says why\n")))
	}, "no hint"}
}

func TestAPhaseThatFails(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	planted := filepath.Join(t.TempDir(), "planted")
	if err := errors.Join(os.Mkdir(planted, 0o755), os.Symlink(planted, filepath.Join(temp, "pmem-lab-test-failed"))); err != nil {
		t.Fatal(err)
	}
	interrupted := errors.New("interrupt")
	for _, c := range []struct {
		name string
		fail func(context.CancelCauseFunc) error
		want []string
		logs bool
	}{
		{"by itself", func(context.CancelCauseFunc) error { return errors.New("no room") },
			[]string{`phase "fail"`, "no room", "hint: make room", "logs of the failed lab are kept in"}, true},
		{"for the host", func(context.CancelCauseFunc) error { return fmt.Errorf("%w: no root", ErrHost) },
			[]string{`phase "fail"`, "no root"}, false},
		{"when interrupted", func(cancel context.CancelCauseFunc) error {
			cancel(interrupted)
			return errors.New("signal: killed")
		}, []string{`phase "fail" was interrupted`, "interrupt"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := testLab(t)
			var lines bytes.Buffer
			l.progress = progress.Lines(&lines)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			err := l.bringUp(ctx, []phase{
				begun(t, l),
				{"fail", func(context.Context) error { return c.fail(cancel) }, "make room"},
				{"never", func(context.Context) error { t.Error("a phase after the one that failed"); return nil }, ""},
			})
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("err = %v\nwant %q", err, want)
				}
			}
			if s := l.inspect(); s.present() {
				t.Errorf("left behind: %s", s)
			}
			checkKept(t, temp, c.logs)
			if found, _ := os.ReadDir(planted); len(found) != 0 {
				t.Errorf("a planted link was followed: %v", found)
			}
			if !strings.Contains(lines.String(), "lab begin") {
				t.Errorf("progress says %q", &lines)
			}
		})
	}
}

// checkKept expects the logs of a failed lab in one directory that others
// cannot read, and removes it.
func checkKept(t *testing.T, temp string, want bool) {
	t.Helper()
	kept, err := filepath.Glob(filepath.Join(temp, "pmem-lab-test-failed-*"))
	if err != nil || (len(kept) == 1) != want {
		t.Fatalf("logs are kept in %q, %v; want one directory: %v", kept, err, want)
	}
	for _, dir := range kept {
		if log, err := os.ReadFile(filepath.Join(dir, "etcd.log")); err != nil || string(log) != "etcd says why\n" {
			t.Errorf("log: %q, %v", log, err)
		}
		for _, name := range []string{".", "etcd.log"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %v, %v, want a mode without permissions for others", name, info.Mode(), err)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "ca.key")); err == nil {
			t.Error("a key is among the logs")
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
}

func TestUpAfterOneThatWasKilled(t *testing.T) {
	l := testLab(t)
	var lines bytes.Buffer
	l.progress = progress.Lines(&lines)
	if err := begun(t, l).do(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Its lock is left as well, and nobody holds it.
	if err := private.WriteFile(string(l.dir)+".lock", []byte("4194304\n")); err != nil {
		t.Fatal(err)
	}
	unlock, err := l.dir.Lock()
	if err != nil {
		t.Fatalf("stale lock: %v", err)
	}
	defer unlock()
	if err := l.inspect().Err(); err == nil || !strings.Contains(err.Error(), "not brought up to the end") {
		t.Errorf("status: %v", err)
	}
	if err := l.removeUnfinished(l.inspect()); err != nil {
		t.Fatal(err)
	}
	if s := l.inspect(); s.present() {
		t.Errorf("left behind: %s", s)
	}
	if !strings.Contains(lines.String(), "unfinished") {
		t.Errorf("progress says %q", &lines)
	}
	if err := l.bringUp(t.Context(), []phase{{"begin", func(context.Context) error { return os.MkdirAll(string(l.dir), 0o700) }, ""}}); err != nil {
		t.Fatal(err)
	}
	s, err := l.state.Read()
	if err != nil || !s.Ready || len(s.Phases) != 1 || s.Phases[0].Name != "begin" {
		t.Errorf("written down is %+v, %v; want a lab that is ready after one phase", s, err)
	}
}
