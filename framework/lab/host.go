package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"pmem-memcached-e2e/framework/lab/artifact"
)

// tools are the programs of this host that a lab calls.
var tools = []string{"qemu-img", "ip", "mke2fs", "tar", "mmdebstrap", "go"}

// headroom is the memory in MiB that the control plane and the suite need
// in addition to the nodes.
const headroom = 2048

// ErrHost is wrapped by errors that say that this host cannot run a lab.
var ErrHost = errors.New("this host cannot run a lab")

// ErrDiffers is wrapped by errors that say that the lab that is up is not the
// one that was asked for.
var ErrDiffers = errors.New("the lab that is up is another")

// Check finds what would make a lab fail later, before anything starts. Its
// errors wrap ErrHost or ErrDiffers.
func (l *Lab) Check() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: this program is neither root nor has it become so with BecomeRoot", ErrHost)
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: %w; make packages installs what is missing", ErrHost, err)
		}
	}
	if err := l.checkCache(); err != nil {
		return err
	}
	if err := checkTun("/dev/net/tun"); err != nil {
		return err
	}
	if err := l.checkVersions(); err != nil {
		return err
	}
	if l.inspect().up() {
		p, err := l.readPlan()
		if err != nil {
			return err
		}
		return l.opts.differs(p)
	}
	p, available, err := l.opts.plannedHere()
	if err != nil {
		return err
	}
	return enough(p, available)
}

// plannedHere is planned on this host, with the MiB that are available here.
func (o Options) plannedHere() (p plan, available int, err error) {
	available, err = availableMemory()
	return o.planned(available, runtime.NumCPU()), available, err
}

// enough compares what a lab needs with the MiB that its host has.
func enough(p plan, available int) error {
	need, what := p.needs()
	if need <= available {
		return nil
	}
	return fmt.Errorf("%w: it has %d MiB of memory available, and LAB_NODES=%d LAB_PMEM=%d need %d MiB: %s; choose fewer nodes or less persistent memory",
		ErrHost, available, p.Nodes, p.PMEM, need, what)
}

// availableMemory returns the kernel's estimate in MiB (proc(5), MemAvailable).
func availableMemory() (int, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "MemAvailable:"); ok {
			var kib int
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				return 0, fmt.Errorf("/proc/meminfo: %q: %w", s.Text(), err)
			}
			return kib >> 10, nil
		}
	}
	return 0, errors.New("/proc/meminfo has no MemAvailable")
}

// checkCache finds out whether parts can be kept where they shall be.
func (l *Lab) checkCache() error {
	store, err := artifact.Open(l.opts.CacheDir, l.progress)
	if err != nil {
		return hostError(err)
	}
	return errors.Join(store.Close(), checkReach(l.opts.CacheDir))
}

// hostError says of an error that this host is the reason for it, if it is.
func hostError(err error) error {
	if errors.Is(err, artifact.ErrCache) {
		return fmt.Errorf("%w: %w", ErrHost, err)
	}
	return err
}

func (l *Lab) makeParts(ctx context.Context) error {
	return hostError(l.withParts(ctx, func(parts *artifact.Parts, v artifact.Versions) error {
		l.parts = parts
		return l.writeMade(made{v, parts.Directories})
	}))
}

// withParts makes what is missing and calls use, before whose end nobody
// removes the parts from the cache.
func (l *Lab) withParts(ctx context.Context, use func(*artifact.Parts, artifact.Versions) error) (err error) {
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
	parts, err := builder.Parts(ctx)
	if err != nil {
		return err
	}
	return use(parts, versions)
}
