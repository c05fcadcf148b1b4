// Package cache knows who needs what of the parts that were built for labs, and
// removes and verifies them.
package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/progress"
)

// Entry is an artifact of the cache and who needs it.
type Entry struct {
	artifact.Entry
	// NeededBy names the labs that are there and need the artifact, and this
	// checkout if the default or the chosen versions do.
	NeededBy []string
}

// Cache is a directory with artifacts.
type Cache struct {
	Dir string
	// SourceDir is the checkout that needs the parts of the default versions
	// and of Versions.
	SourceDir string
	Versions  artifact.Versions
	// Labs is the directory above those of the labs.
	Labs     string
	Progress progress.Writer
}

// List lists the artifacts of the cache, the one not used for longest first.
// An error that wraps ErrUnknownNeeds comes with the list.
func (c Cache) List() ([]Entry, error) {
	store, err := artifact.Open(c.Dir, c.Progress)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	entries, err := store.List()
	if err != nil {
		return nil, err
	}
	current, err := c.currentPaths(store)
	if err != nil {
		return nil, err
	}
	labs, unknown := neededByLabs(c.Labs)
	all := make([]Entry, len(entries))
	for i, e := range entries {
		all[i] = Entry{Entry: e, NeededBy: labs[e.Path]}
		if slices.Contains(current, e.Path) {
			all[i].NeededBy = append(all[i].NeededBy, "this checkout")
		}
	}
	return all, unknown
}

// Prune removes the artifacts that policy wants removed and nothing needs, and
// returns the bytes that the others take. removed is called for each; with
// dryRun it is called, and nothing is removed. What others begin to use
// meanwhile stays.
func (c Cache) Prune(policy artifact.Policy, dryRun bool, removed func(artifact.Entry)) (left int64, err error) {
	all, err := c.List()
	if err != nil {
		return 0, err
	}
	needed := map[string]bool{}
	entries := make([]artifact.Entry, len(all))
	for i, e := range all {
		entries[i], needed[e.Path] = e.Entry, len(e.NeededBy) > 0
		left += e.Size
	}
	store, err := artifact.Open(c.Dir, c.Progress)
	if err != nil {
		return left, err
	}
	defer store.Close()
	for _, e := range policy.Choose(entries, func(e artifact.Entry) bool { return needed[e.Path] }, time.Now()) {
		if !dryRun {
			err := store.Remove(e, func() error { return c.allowRemoval(e) })
			if errors.Is(err, artifact.ErrHeld) || errors.Is(err, fs.ErrNotExist) {
				fmt.Fprintf(c.Progress, "left alone: %v\n", err)
				continue
			}
			if err != nil {
				return left, err
			}
		}
		left -= e.Size
		removed(e)
	}
	if dryRun {
		return left, nil
	}
	return left, store.Tidy()
}

// allowRemoval finds labs that have come to need e since the cache was listed.
func (c Cache) allowRemoval(e artifact.Entry) error {
	labs, err := neededByLabs(c.Labs)
	if err != nil {
		return err
	}
	if by := labs[e.Path]; len(by) > 0 {
		return fmt.Errorf("%s is %w by %s", e.Name, artifact.ErrHeld, by[0])
	}
	return nil
}

// currentPaths returns what this checkout needs for labs and for kind clusters in virtual machines, with the default and with the
// chosen versions.
func (c Cache) currentPaths(store *artifact.Store) ([]string, error) {
	std := artifact.DefaultVersions()
	var paths []string
	for _, v := range []artifact.Versions{std, c.Versions.Or(std)} {
		builder, err := artifact.NewBuilder(store, c.SourceDir, v)
		if err != nil {
			return nil, err
		}
		lab, labErr := builder.Paths()
		kind, kindErr := builder.KindPaths()
		if err := errors.Join(labErr, kindErr); err != nil {
			return nil, fmt.Errorf("find out what this checkout needs: %w", err)
		}
		paths = append(append(paths, lab...), kind...)
	}
	return paths, nil
}

// ErrUnknownNeeds is wrapped by errors that say that a lab has not written
// down what it needs.
var ErrUnknownNeeds = errors.New("it is not known what a lab needs")

// neededByLabs maps the directories of caches that labs need to those labs.
// All labs have their state below dir.
func neededByLabs(dir string) (map[string][]string, error) {
	labs, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for labs: %w", err)
	}
	needs := map[string][]string{}
	var errs []error
	for _, lab := range labs {
		if !lab.IsDir() {
			continue
		}
		s, err := state.Of(state.Dir(filepath.Join(dir, lab.Name()))).Read()
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%w: %w", ErrUnknownNeeds, err))
		case !s.Made():
			errs = append(errs, fmt.Errorf("%w: lab %s was started by an earlier revision or not to the end; make lab-down LAB_NAME=%s removes it", ErrUnknownNeeds, lab.Name(), lab.Name()))
		default:
			for _, path := range s.Directories {
				needs[path] = append(needs[path], "lab "+lab.Name())
			}
		}
	}
	return needs, errors.Join(errs...)
}

// Verify compares every artifact with the digests that were recorded when it was
// made, and calls verified for each. With remove it removes what is damaged or
// has no digests, and reports whether there was any; what a lab uses stays. The
// error joins the *artifact.DamageError of what is still damaged, and the errors
// of what could not be removed.
func (c Cache) Verify(ctx context.Context, remove bool, verified func(artifact.Entry, error)) (removed bool, err error) {
	store, err := artifact.Open(c.Dir, c.Progress)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	entries, err := store.List()
	if err != nil {
		return false, err
	}
	var left []error
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return removed, context.Cause(ctx)
		}
		err := store.Verify(e)
		verified(e, err)
		_, damaged := errors.AsType[*artifact.DamageError](err)
		if !damaged && !(remove && errors.Is(err, artifact.ErrNoSums)) {
			continue
		}
		if remove {
			removal := store.Remove(e, func() error { return c.allowRemoval(e) })
			if removal == nil {
				removed = true
				continue
			}
			err = errors.Join(err, removal)
		}
		left = append(left, err)
	}
	return removed, errors.Join(left...)
}
