package lab

import (
	"context"
	"fmt"
	"path/filepath"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/cache"
)

// versions returns those that the lab was made with, or by default would be.
func (l *Lab) versions() (artifact.Versions, error) {
	s, err := l.state.Read()
	if err != nil || !s.Made() {
		return artifact.DefaultVersions(), err
	}
	return s.Versions, nil
}

// checkVersions refuses a lab that is up with other versions than were chosen.
func (l *Lab) checkVersions() error {
	if !l.inspect().up() {
		return nil
	}
	has, err := l.versions()
	if err != nil {
		return err
	}
	if chosen := l.opts.Versions; !has.Has(chosen) {
		return fmt.Errorf("%w: lab %s has %s, and not the chosen %s; make lab-down removes it, LAB_NAME names another", ErrDiffers, l.opts.Name, has, chosen.Or(has))
	}
	return nil
}

// MemcachedImages returns the names of the memcached images on the lab's nodes,
// the one to examine first.
func (l *Lab) MemcachedImages() ([]string, error) {
	has, err := l.versions()
	if err != nil {
		return nil, err
	}
	var images []string
	for _, v := range l.opts.Versions.Or(has).Memcached {
		images = append(images, artifact.MemcachedReference(v))
	}
	return images, nil
}

// SourceDir returns the checkout whose hack/ directory pins the programs.
func (l *Lab) SourceDir() string { return l.opts.SourceDir }

// Cache is the cache of the lab's parts.
func (l *Lab) Cache() cache.Cache {
	return cache.Cache{Dir: l.opts.CacheDir, SourceDir: l.opts.SourceDir, Versions: l.opts.Versions, Labs: filepath.Dir(string(l.dir)), Progress: l.progress}
}

// VerifyCache is Verify of the cache. With rebuild it removes what is damaged,
// and makes again what this checkout needs.
func (l *Lab) VerifyCache(ctx context.Context, rebuild bool, verified func(artifact.Entry, error)) error {
	removed, err := l.Cache().Verify(ctx, rebuild, verified)
	if err != nil || !removed {
		return err
	}
	return hostError(l.withParts(ctx, func(*artifact.Parts, artifact.Versions) error { return nil }))
}
