package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/progress"
)

func allow() error { return nil }

// age makes the artifact at path look as if it was made and last used so long
// ago.
func age(t *testing.T, path string, ago time.Duration) {
	t.Helper()
	then := time.Now().Add(-ago)
	for _, p := range []string{path, path + lockSuffix} {
		if err := os.Chtimes(p, then, then); err != nil {
			t.Fatal(err)
		}
	}
}

func get(t *testing.T, s *Store, a Artifact) string {
	t.Helper()
	path, err := s.Get(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestListTellsSizeAndUse(t *testing.T) {
	s := openStore(t)
	first, second := numbered(1, writeContent), numbered(2, writeContent)
	age(t, get(t, s, first), 3*time.Hour)
	age(t, get(t, s, second), 2*time.Hour)
	if err := os.Mkdir(filepath.Join(s.dir, "no-artifact"), 0o755); err != nil {
		t.Fatal(err)
	}
	entries, err := s.List()
	if err != nil || len(entries) != 2 {
		t.Fatalf("entries = %v, %v; want two", entries, err)
	}
	if e := entries[0]; e.Path != s.Path(first) || e.Name != filepath.Base(e.Path) || e.Size < 4096 || e.Size > 1<<20 {
		t.Errorf("the first is %+v, want %s and a size of some KiB", e, s.Path(first))
	}
	get(t, s, first)
	if entries, err = s.List(); err != nil || entries[0].Path != s.Path(second) {
		t.Errorf("after the first was used: %v, %v; want the second first", entries, err)
	}
	if e := entries[1]; time.Since(e.Used) > time.Minute || time.Since(e.Made) < 2*time.Hour {
		t.Errorf("used %v, made %v; want now and long ago", e.Used, e.Made)
	}
}

func TestRemove(t *testing.T) {
	s := openStore(t)
	a := numbered(1, writeContent)
	path := get(t, s, a)
	e, err := entryAt(path)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(s.dir, progress.Lines(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Remove(e, allow); !errors.Is(err, ErrHeld) || !exists(path) {
		t.Errorf("removing what a store has handed out: %v, want %v", err, ErrHeld)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	needed := errors.New("a lab needs it")
	if err := other.Remove(e, func() error { return needed }); !errors.Is(err, needed) || !exists(path) {
		t.Errorf("removing what is not allowed: %v, want %v", err, needed)
	}
	if err := other.Remove(e, allow); err != nil {
		t.Errorf("removing what nobody has: %v", err)
	}
	if left, _ := os.ReadDir(s.dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if get(t, s, a) != path || !exists(path) {
		t.Error("what was removed was not made again")
	}
}

// What is being made is neither there nor removed, and who waits for it gets
// it.
func TestRemoveBesideABuild(t *testing.T) {
	s := openStore(t)
	building, finish := make(chan struct{}), make(chan struct{})
	a := numbered(1, nil)
	a.Make = func(ctx context.Context, dir string, _ io.Writer) error {
		close(building)
		<-finish
		return writeContent(ctx, dir, nil)
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.Get(t.Context(), a)
		done <- err
	}()
	<-building
	if err := s.Remove(Entry{Name: "thing", Path: s.Path(a)}, allow); !errors.Is(err, ErrHeld) {
		t.Errorf("removing what is being made: %v, want %v", err, ErrHeld)
	}
	if err := s.Tidy(); err != nil || !exists(s.Path(a)+lockSuffix) {
		t.Errorf("tidying during a build: %v; its lock is there: %v", err, exists(s.Path(a)+lockSuffix))
	}
	if entries, err := s.List(); err != nil || len(entries) > 0 {
		t.Errorf("entries = %v, %v; want none before it is whole", entries, err)
	}
	close(finish)
	if err := <-done; err != nil || !exists(s.Path(a)) {
		t.Errorf("the build ended with %v", err)
	}
}

// Of many that get and remove one artifact each gets a whole one.
func TestGetAndRemoveTogether(t *testing.T) {
	dir := t.TempDir()
	a := numbered(1, writeContent)
	var errs []chan error
	for range 8 {
		done := make(chan error, 1)
		errs = append(errs, done)
		go func() { done <- getAndRemove(t.Context(), dir, a) }()
	}
	for _, done := range errs {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func getAndRemove(ctx context.Context, dir string, a Artifact) error {
	for range 20 {
		s, err := Open(dir, progress.Lines(io.Discard))
		if err != nil {
			return err
		}
		path, err := s.Get(ctx, a)
		if err != nil {
			return err
		}
		if content, err := os.ReadFile(filepath.Join(path, "content")); err != nil || string(content) != "whole" {
			return fmt.Errorf("content %q, %v", content, err)
		}
		if err := s.Close(); err != nil {
			return err
		}
		if err := s.Remove(Entry{Name: "thing", Path: path}, allow); err != nil && !errors.Is(err, ErrHeld) && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func TestTidyRemovesWhatFailedBuildsLeft(t *testing.T) {
	s := openStore(t)
	kept := get(t, s, numbered(1, writeContent))
	broken := numbered(2, func(context.Context, string, io.Writer) error { return errors.New("broken") })
	if _, err := s.Get(t.Context(), broken); err == nil {
		t.Fatal("want an error")
	}
	foreign := filepath.Join(s.dir, "foreign.lock")
	if err := os.WriteFile(foreign, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Tidy(); err != nil {
		t.Error(err)
	}
	if gone := s.Path(broken); exists(gone+logSuffix) || exists(gone+lockSuffix) {
		t.Error("lock or log of a failed build are still there")
	}
	if !exists(kept+lockSuffix) || !exists(kept+logSuffix) || !exists(foreign) {
		t.Error("lock or log of an artifact, or a file of somebody else, are gone")
	}
}

func TestPolicy(t *testing.T) {
	now := time.Now()
	entry := func(name string, size int64, days int) Entry {
		return Entry{Name: name, Size: size, Used: now.AddDate(0, 0, -days)}
	}
	entries := []Entry{entry("needed", 10, 9), entry("old", 20, 8), entry("older-disk", 30, 7), entry("new", 40, 1)}
	for _, tt := range []struct {
		name   string
		policy Policy
		want   string
	}{
		{"all that nothing needs", Policy{}, "old older-disk new"},
		{"nothing", Policy{Keep: 100}, ""},
		{"the oldest", Policy{Keep: 99}, "old"},
		{"exactly", Policy{Keep: 80}, "old"},
		{"two", Policy{Keep: 79}, "old older-disk"},
		{"less than is needed", Policy{Keep: 5}, "old older-disk new"},
		{"unused for long", Policy{Unused: 48 * time.Hour}, "old older-disk"},
		{"unused for very long", Policy{Unused: 1000 * time.Hour}, ""},
		{"unused and beyond a size", Policy{Keep: 80, Unused: 48 * time.Hour}, "old"},
	} {
		var names []string
		for _, e := range tt.policy.Choose(entries, func(e Entry) bool { return e.Name == "needed" }, now) {
			names = append(names, e.Name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Paths has everything that the disk is made from.
func TestPathsOfABuilder(t *testing.T) {
	b, err := NewBuilder(openStore(t), checkout, DefaultVersions())
	if err != nil {
		t.Fatal(err)
	}
	paths, err := b.Paths()
	programs := []Program{pause, nodeShell, registrar, etcd, containerd, driver, provisioner, coredns, b.kubernetes}
	roots := 3 + len(b.memcached) // the node's, the driver's and QEMU's
	if want := 1 + len(programs) + roots + len(b.images()); err != nil || len(paths) != want {
		t.Errorf("%d paths, %v; want %d", len(paths), err, want)
	}
	seen := map[string]bool{}
	for _, p := range paths {
		if seen[p] || !entryForm.MatchString(filepath.Base(p)) {
			t.Errorf("%s is there twice or has no digest", p)
		}
		seen[p] = true
	}
}
