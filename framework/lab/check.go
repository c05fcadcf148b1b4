package lab

import (
	"context"
	"errors"
	"fmt"
	"os"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/host"
)

// ErrHost is wrapped by errors that say that this host cannot run a lab.
var ErrHost = host.ErrUnfit

// ErrDiffers is wrapped by errors that say that the lab that is up is not the
// one that was asked for.
var ErrDiffers = errors.New("the lab that is up is another")

// Check finds what would make a lab fail later, before anything starts. Its
// errors wrap ErrHost or ErrDiffers.
func (l *Lab) Check() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: this program is neither root nor has it become so with BecomeRoot", ErrHost)
	}
	if err := host.CheckTools(); err != nil {
		return err
	}
	if err := l.checkCache(); err != nil {
		return err
	}
	if err := host.CheckTun("/dev/net/tun"); err != nil {
		return err
	}
	if err := l.checkVersions(); err != nil {
		return err
	}
	if s := l.inspect(); s.up() {
		return l.opts.differs(s.known.Plan)
	}
	p, available, err := l.opts.plannedHere()
	if err != nil {
		return err
	}
	return enough(p, available)
}

// checkCache finds out whether parts can be kept where they shall be.
func (l *Lab) checkCache() error {
	store, err := artifact.Open(l.opts.CacheDir, l.progress)
	if err != nil {
		return hostError(err)
	}
	return errors.Join(store.Close(), host.CheckReach(l.opts.CacheDir))
}

// hostError says of an error that this host is the reason for it, if it is.
func hostError(err error) error {
	if errors.Is(err, artifact.ErrCache) || errors.Is(err, artifact.ErrTool) {
		return fmt.Errorf("%w: %w", ErrHost, err)
	}
	return err
}

// withParts makes what is missing and calls use, before whose end nobody
// removes the parts from the cache.
func (l *Lab) withParts(ctx context.Context, use func(*artifact.Parts, artifact.Versions) error) (err error) {
	return l.withBuilder(func(builder *artifact.Builder, versions artifact.Versions) error {
		parts, err := builder.Parts(ctx)
		if err != nil {
			return err
		}
		return use(parts, versions)
	})
}

// withBuilder calls use with what makes the lab's parts.
func (l *Lab) withBuilder(use func(*artifact.Builder, artifact.Versions) error) (err error) {
	store, err := artifact.Open(l.opts.CacheDir, l.progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	has, err := l.versions()
	if err != nil {
		return err
	}
	versions := l.opts.Versions.Or(has)
	builder, err := artifact.NewBuilder(store, l.opts.SourceDir, versions)
	if err != nil {
		return err
	}
	return use(builder, versions)
}
