package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"pmem-memcached-e2e/framework/progress"
)

func openStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), progress.Lines(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func numbered(n int, make func(ctx context.Context, dir string, log io.Writer) error) Artifact {
	a := Artifact{Name: "thing", Make: make}
	a.Key.Add("number", fmt.Sprint(n))
	return a
}

func writeContent(_ context.Context, dir string, _ io.Writer) error {
	return os.WriteFile(filepath.Join(dir, "content"), []byte("whole"), 0o644)
}

func TestGetMakesOnce(t *testing.T) {
	s := openStore(t)
	var mu sync.Mutex
	made := 0
	a := numbered(1, func(ctx context.Context, dir string, log io.Writer) error {
		mu.Lock()
		made++
		mu.Unlock()
		return writeContent(ctx, dir, log)
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := s.Get(t.Context(), a)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := os.ReadFile(filepath.Join(dir, "content")); err != nil || string(got) != "whole" {
				t.Errorf("content = %q, %v", got, err)
			}
		})
	}
	wg.Wait()
	if made != 1 {
		t.Errorf("made %d times, want once", made)
	}
}

func TestGetAfterFailure(t *testing.T) {
	s := openStore(t)
	broken := errors.New("the compiler said no")
	fail := true
	a := numbered(1, func(ctx context.Context, dir string, log io.Writer) error {
		if fail {
			fmt.Fprintln(log, "half of it")
			if err := writeContent(ctx, dir, log); err != nil {
				return err
			}
			return broken
		}
		return writeContent(ctx, dir, log)
	})
	_, err := s.Get(t.Context(), a)
	if !errors.Is(err, broken) {
		t.Fatalf("err = %v, want %v", err, broken)
	}
	for _, want := range []string{"thing", "the compiler said no", "half of it", ".log"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not have %q", err, want)
		}
	}
	if exists(s.Path(a)) {
		t.Error("a failed artifact is there")
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "*.making-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	fail = false
	if _, err := s.Get(t.Context(), a); err != nil {
		t.Errorf("second try: %v", err)
	}
}

// A file system of its own is filled, which takes root.
func TestAFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); errors.Is(err, unix.EPERM) {
		t.Skip("mounting a small file system needs root")
	} else if err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, 0)
	s, err := Open(dir, progress.Lines(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Get(t.Context(), numbered(1, func(ctx context.Context, dir string, log io.Writer) error {
		return run(ctx, dir, filepath.Join(dir, scratchDir), os.Environ(), log, "dd", "if=/dev/zero", "of="+filepath.Join(dir, "content"), "bs=64k")
	}))
	for _, want := range []string{"make thing", "dd", dir, "KiB left", "CACHE_DIR"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v\nwant %q", err, want)
		}
	}
	if !errors.Is(err, ErrCache) {
		t.Error("the error does not say that the cache is of no use")
	}
	if _, err := s.Get(t.Context(), numbered(2, writeContent)); err != nil {
		t.Errorf("after a failure that left nothing: %v", err)
	}
}

func TestOpenSweepsWhatADeadProcessLeft(t *testing.T) {
	dir := t.TempDir()
	// Process ids end well below this (proc(5), pid_max is at most 2^22).
	dead := filepath.Join(dir, "thing-0123.making-99999999")
	alive := filepath.Join(dir, fmt.Sprintf("thing-0123.making-%d", os.Getpid()))
	for _, d := range []string{dead, alive} {
		if err := os.MkdirAll(filepath.Join(d, "part"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(dir, progress.Lines(io.Discard)); err != nil {
		t.Fatal(err)
	}
	if exists(dead) {
		t.Error("what a dead process left is still there")
	}
	if !exists(alive) {
		t.Error("what a living process makes is gone")
	}
}

func TestOpenRefusesWhatIsNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(file, progress.Lines(io.Discard))
	if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "CACHE_DIR") {
		t.Errorf("err = %v, want one that names %s and CACHE_DIR", err, file)
	}
}

func TestKeyTellsApart(t *testing.T) {
	tree := t.TempDir()
	if err := os.WriteFile(filepath.Join(tree, "go.mod"), []byte("module a"), 0o644); err != nil {
		t.Fatal(err)
	}
	digest := func(f func(*Key)) string {
		var k Key
		if err := k.AddTree(tree); err != nil {
			t.Fatal(err)
		}
		f(&k)
		return k.digest()
	}
	same := digest(func(*Key) {})
	if same != digest(func(*Key) {}) {
		t.Error("the same parts have different digests")
	}
	if same == digest(func(k *Key) { k.Add("flag", "-x") }) {
		t.Error("one more value has the same digest")
	}
	if digest(func(k *Key) { k.Add("a", "b c") }) == digest(func(k *Key) { k.Add("a", "b", "c") }) {
		t.Error("one value and two have the same digest")
	}
	if err := os.WriteFile(filepath.Join(tree, "go.mod"), []byte("module b"), 0o644); err != nil {
		t.Fatal(err)
	}
	if same == digest(func(*Key) {}) {
		t.Error("a changed file has the same digest")
	}
	elsewhere := filepath.Join(t.TempDir(), "main.go")
	if err := os.Symlink(elsewhere, filepath.Join(tree, "main.go")); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, text := range []string{"package a", "package b"} {
		if err := os.WriteFile(elsewhere, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		seen[digest(func(*Key) {})] = true
	}
	if len(seen) != 2 {
		t.Error("a changed file behind a link has the same digest")
	}
}

func TestRunTellsWhichCommandFailedAndIsInterrupted(t *testing.T) {
	var log strings.Builder
	dir := t.TempDir()
	err := run(t.Context(), dir, filepath.Join(dir, scratchDir), os.Environ(), &log, "sh", "-c", "echo why; exit 7")
	if err == nil || !strings.Contains(err.Error(), "sh: exit status 7") || !strings.Contains(log.String(), "why") {
		t.Errorf("err = %v, log = %q", err, log.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	started := filepath.Join(dir, "started")
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, dir, filepath.Join(dir, scratchDir), os.Environ(), io.Discard, "sh", "-c", "trap 'echo cleaned >cleaned; exit 1' INT; echo >started; while :; do sleep 0.1; done")
	}()
	for !exists(started) {
		if t.Context().Err() != nil {
			t.Fatal("the command did not start")
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want %v", err, context.Canceled)
	}
	if !exists(filepath.Join(dir, "cleaned")) {
		t.Error("the command was not given the time to clean up")
	}
}
