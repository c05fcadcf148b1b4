package lockfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestHold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Hold(path, 0o600, "process 1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Hold(path, 0o600, "process 2")
	if held, ok := errors.AsType[*HeldError](err); !ok || held.Holder != "process 1" {
		t.Errorf("a second lock: %v, want a HeldError that names process 1", err)
	}
	unlock()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	if unlock, err = Hold(path, 0o600, "process 2"); err != nil {
		t.Fatalf("after the unlock: %v", err)
	}
	unlock()
}

func TestHoldFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.Symlink(target, filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := Hold(filepath.Join(dir, "lock"), 0o600, "x"); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link was followed: %v", err)
	}
}

// TestTryAfterRemoval makes sure that a lock on a file that is no longer at its
// path does not count.
func TestTryAfterRemoval(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	old, err := Try(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if Current(old, path) {
		t.Error("a removed file is the current one")
	}
	f, err := Try(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if Current(old, path) || !Current(f, path) {
		t.Error("the file at the path is not the one that was locked last")
	}
}
