package lab

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
)

// CacheEntry is an artifact of the cache and who needs it.
type CacheEntry struct {
	artifact.Entry
	// NeededBy names the labs that are there and need the artifact, and this
	// checkout if the default or the chosen versions do.
	NeededBy []string
}

// Cache lists the artifacts of the cache, the one not used for longest first.
// An error that wraps ErrUnknownNeeds comes with the list.
func (l *Lab) Cache() ([]CacheEntry, error) {
	store, err := artifact.Open(l.opts.CacheDir, l.progress)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	entries, err := store.List()
	if err != nil {
		return nil, err
	}
	current, err := l.currentPaths(store)
	if err != nil {
		return nil, err
	}
	labs, unknown := neededByLabs(filepath.Dir(string(l.dir)))
	all := make([]CacheEntry, len(entries))
	for i, e := range entries {
		all[i] = CacheEntry{Entry: e, NeededBy: labs[e.Path]}
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
func (l *Lab) Prune(policy artifact.Policy, dryRun bool, removed func(artifact.Entry)) (left int64, err error) {
	all, err := l.Cache()
	if err != nil {
		return 0, err
	}
	needed := map[string]bool{}
	entries := make([]artifact.Entry, len(all))
	for i, e := range all {
		entries[i], needed[e.Path] = e.Entry, len(e.NeededBy) > 0
		left += e.Size
	}
	store, err := artifact.Open(l.opts.CacheDir, l.progress)
	if err != nil {
		return left, err
	}
	defer store.Close()
	for _, e := range policy.Choose(entries, func(e artifact.Entry) bool { return needed[e.Path] }, time.Now()) {
		if !dryRun {
			err := store.Remove(e, func() error { return l.allowRemoval(e) })
			if errors.Is(err, artifact.ErrHeld) || errors.Is(err, fs.ErrNotExist) {
				fmt.Fprintf(l.progress, "left alone: %v\n", err)
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
func (l *Lab) allowRemoval(e artifact.Entry) error {
	labs, err := neededByLabs(filepath.Dir(string(l.dir)))
	if err != nil {
		return err
	}
	if by := labs[e.Path]; len(by) > 0 {
		return fmt.Errorf("%s is %w by %s", e.Name, artifact.ErrHeld, by[0])
	}
	return nil
}

// currentPaths returns what this checkout needs for the default and for the
// chosen versions.
func (l *Lab) currentPaths(store *artifact.Store) ([]string, error) {
	std := artifact.DefaultVersions()
	var paths []string
	for _, v := range []artifact.Versions{std, l.opts.Versions.Or(std)} {
		builder, err := artifact.NewBuilder(store, l.opts.SourceDir, v)
		if err != nil {
			return nil, err
		}
		more, err := builder.Paths()
		if err != nil {
			return nil, fmt.Errorf("find out what this checkout needs: %w", err)
		}
		paths = append(paths, more...)
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

// VerifyCache compares every artifact with the digests that were recorded when
// it was made, and calls verified for each. With rebuild it removes what is
// damaged or has no digests, and makes again what this checkout needs; what a
// lab uses stays. The error joins the *artifact.DamageError of what is still
// damaged, and with rebuild the errors of what could not be replaced.
func (l *Lab) VerifyCache(ctx context.Context, rebuild bool, verified func(artifact.Entry, error)) error {
	store, err := artifact.Open(l.opts.CacheDir, l.progress)
	if err != nil {
		return err
	}
	entries, err := store.List()
	if err != nil {
		return errors.Join(err, store.Close())
	}
	var left []error
	removed := false
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return errors.Join(context.Cause(ctx), store.Close())
		}
		err := store.Verify(e)
		verified(e, err)
		_, damaged := errors.AsType[*artifact.DamageError](err)
		if !damaged && !(rebuild && errors.Is(err, artifact.ErrNoSums)) {
			continue
		}
		if rebuild {
			removal := store.Remove(e, func() error { return l.allowRemoval(e) })
			if removal == nil {
				removed = true
				continue
			}
			err = errors.Join(err, removal)
		}
		left = append(left, err)
	}
	if err := errors.Join(append(left, store.Close())...); err != nil || !removed {
		return err
	}
	return hostError(l.withParts(ctx, func(*artifact.Parts, artifact.Versions) error { return nil }))
}
