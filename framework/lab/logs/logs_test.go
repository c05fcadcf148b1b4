package logs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/redact"
)

func TestLogs(t *testing.T) {
	dir := state.Dir(filepath.Join(t.TempDir(), "test"))
	if _, err := List(dir); err == nil || !strings.Contains(err.Error(), "lab test") {
		t.Errorf("logs of a lab that is not there: %v", err)
	}
	for _, name := range []string{"node1/console", "etcd", "node1"} {
		if err := private.AppendFile(dir.Log(name), []byte(name+" speaks\n")); err != nil {
			t.Fatal(err)
		}
	}
	names, err := List(dir)
	if want := []string{"etcd", "node1", "node1/console"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("got %q, %v, want %q", names, err, want)
	}
	var b strings.Builder
	if err := Write(&b, dir, "node1/console"); err != nil || b.String() != "node1/console speaks\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
	for _, wrong := range []string{"../keys/ca", "node2", ""} {
		if err := Write(&b, dir, wrong); !errors.Is(err, state.ErrUnknown) || !strings.Contains(err.Error(), "it has etcd, node1, node1/console") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestSaveLogs(t *testing.T) {
	dir := state.Dir(filepath.Join(t.TempDir(), "test"))
	for name, mode := range map[string]os.FileMode{"etcd": 0o600, "node1/console": 0o640} {
		path := dir.Log(name)
		if err := errors.Join(private.AppendFile(path, []byte(name)), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	kept := filepath.Join(t.TempDir(), "kept")
	if err := Save(dir, kept, &redact.Redactor{}); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"etcd.log": 0o600, "node1/console.log": 0o640} {
		if info, err := os.Stat(filepath.Join(kept, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want mode %v", name, info, err, mode)
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	planted := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(planted, "etcd.log")); err != nil {
		t.Fatal(err)
	}
	if err := Save(dir, planted, &redact.Redactor{}); err == nil {
		t.Error("a link is in the way: no error")
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("a link out of the directory was followed")
	}
}

func TestKeepWhatCannotBeCopied(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	dir := state.Dir(filepath.Join(t.TempDir(), "test"))
	if err := os.MkdirAll(dir.Logs(), 0o700); err != nil {
		t.Fatal(err)
	}
	lost := func(name string) {
		if err := os.Symlink("/nowhere", dir.Path("logs", name)); err != nil {
			t.Fatal(err)
		}
	}
	lost("b.log")
	if kept, err := Keep(dir, "failed-"); err == nil || kept != "" {
		t.Errorf("nothing was copied: %q, %v, want an error and no directory", kept, err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := private.AppendFile(dir.Log("a"), []byte("why")); err != nil {
		t.Fatal(err)
	}
	kept, err := Keep(dir, "failed-")
	if err == nil {
		t.Error("a part was copied: no error")
	}
	if text, readErr := os.ReadFile(filepath.Join(kept, "a.log")); readErr != nil || string(text) != "why" {
		t.Errorf("the part that was copied: %q, %v", text, readErr)
	}
}
