package cache

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/progress"
)

func testCache(t *testing.T) Cache {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return Cache{Dir: t.TempDir(), SourceDir: root, Labs: t.TempDir(), Progress: progress.Lines(io.Discard)}
}

// fill puts an artifact into the cache and returns its directory.
func fill(t *testing.T, c Cache, name string) string {
	t.Helper()
	store, err := artifact.Open(c.Dir, progress.Lines(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	path, err := store.Get(t.Context(), artifact.Artifact{Name: name, Make: func(_ context.Context, dir string, _ io.Writer) error {
		return os.WriteFile(filepath.Join(dir, "content"), []byte(name), 0o644)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// made writes down that the lab was made of an artifact.
func made(c Cache, path string) error {
	return state.Of(state.Dir(filepath.Join(c.Labs, "test"))).Change(func(s *state.State) { s.Versions, s.Directories = artifact.DefaultVersions(), []string{path} })
}

func TestCacheReportsWhoNeedsWhat(t *testing.T) {
	c := testCache(t)
	used, unused := fill(t, c, "used"), fill(t, c, "unused")
	if err := made(c, used); err != nil {
		t.Fatal(err)
	}
	entries, err := c.List()
	if err != nil || len(entries) != 2 {
		t.Fatalf("entries = %v, %v; want two", entries, err)
	}
	for _, e := range entries {
		var want []string
		if e.Path == used {
			want = []string{"lab test"}
		} else if e.Path != unused {
			t.Errorf("unexpected %s", e.Path)
		}
		if !slices.Equal(e.NeededBy, want) {
			t.Errorf("%s is needed by %q, want %q", e.Name, e.NeededBy, want)
		}
	}
}

// What the default and the chosen versions consist of is needed, and nothing
// of the others.
func TestCacheKeepsWhatTheVersionsNeed(t *testing.T) {
	c := testCache(t)
	store, err := artifact.Open(c.Dir, progress.Lines(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	std, err := c.currentPaths(store)
	if err != nil {
		t.Fatal(err)
	}
	c.Versions.Memcached = []string{"1.6.45"}
	both, err := c.currentPaths(store)
	if err != nil {
		t.Fatal(err)
	}
	more := map[string]bool{}
	for _, path := range both {
		if name := filepath.Base(path); !slices.Contains(std, path) {
			more[name[:strings.LastIndex(name, "-")]] = true
		}
	}
	if got, want := slices.Sorted(maps.Keys(more)), []string{"disk", "image-memcached", "kind-host", "kind-node", "root-memcached"}; !slices.Equal(got, want) {
		t.Errorf("another memcached needs %v of its own, want %v", got, want)
	}
	for _, path := range std {
		if !slices.Contains(both, path) {
			t.Errorf("%s is no longer needed", path)
		}
	}
}

func TestPrune(t *testing.T) {
	c := testCache(t)
	used, unused, held := fill(t, c, "used"), fill(t, c, "unused"), fill(t, c, "held")
	if err := made(c, used); err != nil {
		t.Fatal(err)
	}
	builder, err := artifact.Open(c.Dir, progress.Lines(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer builder.Close()
	if _, err := builder.Get(t.Context(), artifact.Artifact{Name: "held"}); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	c.Progress = progress.Lines(&said)
	var names []string
	note := func(e artifact.Entry) { names = append(names, e.Path) }

	if left, err := c.Prune(artifact.Policy{}, true, note); err != nil || len(names) != 2 || left <= 0 {
		t.Errorf("dry run: %v, %d bytes left, %v; want the two that no lab needs", names, left, err)
	}
	for _, path := range []string{used, unused, held} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("after the dry run: %v", err)
		}
	}
	names = nil
	if _, err := c.Prune(artifact.Policy{}, false, note); err != nil || !slices.Equal(names, []string{unused}) {
		t.Errorf("removed %v, %v; want %s", names, err, unused)
	}
	if _, err := os.Stat(unused); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what nothing needs is still there: %v", err)
	}
	for _, path := range []string{used, held} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("what is needed is gone: %v", err)
		}
	}
	if !strings.Contains(said.String(), filepath.Base(held)) {
		t.Errorf("said %q, want why %s was left", said.String(), held)
	}
}

// A lab that came up between the listing and the removal keeps its parts.
func TestPruneAsksTheLabsAgain(t *testing.T) {
	c := testCache(t)
	path := fill(t, c, "thing")
	e := artifact.Entry{Name: "thing", Path: path}
	if err := c.allowRemoval(e); err != nil {
		t.Errorf("without a lab: %v", err)
	}
	if err := made(c, path); err != nil {
		t.Fatal(err)
	}
	if err := c.allowRemoval(e); !errors.Is(err, artifact.ErrHeld) || !strings.Contains(err.Error(), "lab test") {
		t.Errorf("with one: %v, want an error that names it", err)
	}
}

func TestPruneRefusesWhileALabSaysNothing(t *testing.T) {
	c := testCache(t)
	path := fill(t, c, "thing")
	if err := os.MkdirAll(filepath.Join(c.Labs, "test", "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if entries, err := c.List(); len(entries) != 1 || !errors.Is(err, ErrUnknownNeeds) {
		t.Errorf("entries = %v, %v; want the list and %v", entries, err, ErrUnknownNeeds)
	}
	_, err := c.Prune(artifact.Policy{}, false, func(artifact.Entry) {})
	if !errors.Is(err, ErrUnknownNeeds) || !strings.Contains(err.Error(), "lab-down LAB_NAME=test") {
		t.Errorf("err = %v, want %v and the remedy", err, ErrUnknownNeeds)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// A part without digests is removed on demand alone, and not while a lab
// has it.
func TestVerifyWithoutDigests(t *testing.T) {
	c := testCache(t)
	path := fill(t, c, "thing")
	if err := os.Remove(path + ".sums"); err != nil {
		t.Fatal(err)
	}
	var found []error
	note := func(_ artifact.Entry, err error) { found = append(found, err) }
	if _, err := c.Verify(t.Context(), false, note); err != nil || len(found) != 1 || !errors.Is(found[0], artifact.ErrNoSums) {
		t.Errorf("without removal: %v, found %v", err, found)
	}
	if err := made(c, path); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Verify(t.Context(), true, note); !errors.Is(err, artifact.ErrHeld) || !errors.Is(err, artifact.ErrNoSums) {
		t.Errorf("while a lab has it: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(c.Labs, "test")); err != nil {
		t.Fatal(err)
	}
	if removed, err := c.Verify(t.Context(), true, note); err != nil || !removed {
		t.Errorf("when no lab has it: removed %v, %v", removed, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestVerify(t *testing.T) {
	c := testCache(t)
	store, err := artifact.Open(c.Dir, progress.Lines(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	a := artifact.Artifact{Name: "thing", Make: func(_ context.Context, dir string, _ io.Writer) error {
		return os.WriteFile(filepath.Join(dir, "content"), []byte("whole"), 0o644)
	}}
	dir, err := store.Get(t.Context(), a)
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	verified := 0
	count := func(artifact.Entry, error) { verified++ }
	if _, err := c.Verify(t.Context(), false, count); err != nil || verified != 1 {
		t.Errorf("a whole artifact: %v, %d verified", err, verified)
	}
	if err := os.Truncate(filepath.Join(dir, "content"), 2); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Verify(t.Context(), false, count); err == nil || !strings.Contains(err.Error(), `"content" has changed`) {
		t.Errorf("a truncated file: %v", err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("verifying has removed it: %v", err)
	}
}
