package lab

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/redact"
)

func TestLogs(t *testing.T) {
	l := testLab(t)
	if _, err := l.Logs(); err == nil || !strings.Contains(err.Error(), "lab test") {
		t.Errorf("logs of a lab that is not there: %v", err)
	}
	for _, name := range []string{"node1/console", "etcd", "node1"} {
		if err := private.AppendFile(l.dir.Log(name), []byte(name+" speaks\n")); err != nil {
			t.Fatal(err)
		}
	}
	names, err := l.Logs()
	if want := []string{"etcd", "node1", "node1/console"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("got %q, %v, want %q", names, err, want)
	}
	var b strings.Builder
	if err := l.WriteLog(&b, "node1/console"); err != nil || b.String() != "node1/console speaks\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
	for _, wrong := range []string{"../keys/ca", "node2", ""} {
		if err := l.WriteLog(&b, wrong); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "it has etcd, node1, node1/console") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestSaveLogs(t *testing.T) {
	l := testLab(t)
	for name, mode := range map[string]os.FileMode{"etcd": 0o600, "node1/console": 0o640} {
		path := l.dir.Log(name)
		if err := errors.Join(private.AppendFile(path, []byte(name)), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "kept")
	if err := l.SaveLogs(dir, &redact.Redactor{}); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"etcd.log": 0o600, "node1/console.log": 0o640} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want mode %v", name, info, err, mode)
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	planted := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(planted, "etcd.log")); err != nil {
		t.Fatal(err)
	}
	if err := l.SaveLogs(planted, &redact.Redactor{}); err == nil {
		t.Error("a link is in the way: no error")
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("a link out of the directory was followed")
	}
}

func TestKeepLogsThatCannotBeCopied(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	l := testLab(t)
	if err := os.MkdirAll(l.dir.Logs(), 0o700); err != nil {
		t.Fatal(err)
	}
	lost := func(name string) {
		if err := os.Symlink("/nowhere", l.dir.Path("logs", name)); err != nil {
			t.Fatal(err)
		}
	}
	lost("b.log")
	if dir, err := l.keepLogs(); err == nil || dir != "" {
		t.Errorf("nothing was copied: %q, %v, want an error and no directory", dir, err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := private.AppendFile(l.dir.Log("a"), []byte("why")); err != nil {
		t.Fatal(err)
	}
	dir, err := l.keepLogs()
	if err == nil {
		t.Error("a part was copied: no error")
	}
	if text, readErr := os.ReadFile(filepath.Join(dir, "a.log")); readErr != nil || string(text) != "why" {
		t.Errorf("the part that was copied: %q, %v", text, readErr)
	}
}

func TestStatusShowsTheEndOfALostProgram(t *testing.T) {
	l, m := poweredLab(t)
	if err := private.AppendFile(l.dir.Log("node1"), []byte("qemu: out of smoke\n")); err != nil {
		t.Fatal(err)
	}
	m.Process.Kill()
	<-m.Ended
	err := l.Status(t.Context()).Err()
	for _, want := range []string{"lost", "the end of the log of node1:\nqemu: out of smoke"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q in it", err, want)
		}
	}
}

func TestQEMUOfANode(t *testing.T) {
	l, _ := poweredLab(t)
	args, err := l.QEMU("node2")
	if err != nil || !slices.Contains(args, "qemu-system-x86_64") || !slices.Contains(args, "pmem-lab-test-node2") {
		t.Errorf("got %q, %v", args, err)
	}
	if _, err := l.QEMU("node7"); !errors.Is(err, ErrUnknown) {
		t.Errorf("another node: %v", err)
	}
}
