package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/lab/archive"
	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/nodeshell"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/vm"
)

// readArchives reads those that the options name.
func (o Options) readArchives() ([]archive.Archive, error) {
	var archives []archive.Archive
	var errs []error
	for _, path := range o.Images {
		a, err := archive.Read(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("LAB_IMAGES: %w", err))
		}
		archives = append(archives, a)
	}
	return archives, errors.Join(errs...)
}

// LyingImage returns the path of an archive with the image lying-memcached, which is a memcached that lies, for
// LAB_IMAGES.
func (l *Lab) LyingImage(ctx context.Context) (path string, err error) {
	err = l.withBuilder(func(b *artifact.Builder, _ artifact.Versions) error {
		path, err = b.LyingImage(ctx)
		return err
	})
	return path, hostError(err)
}

// Loaded returns the names of the images that the nodes get from archives, in the order of these.
func (l *Lab) Loaded() []string {
	var images []string
	for _, a := range l.archives {
		images = append(images, a.Images...)
	}
	return images
}

// load puts the images of the archives on every node of a plan.
func (l *Lab) load(ctx context.Context, plan state.Plan) error {
	defer l.doing("")
	for _, a := range l.archives {
		start := time.Now()
		l.doing("lab images: load " + a.Path)
		if err := vm.Each(ctx, l.machines(plan, vm.MainMemory{}), func(ctx context.Context, m vm.Machine) error {
			return l.loadInto(ctx, m.Name(), a)
		}); err != nil {
			return err
		}
		fmt.Fprintf(l.progress, "lab %-14s %5.1fs  %s\n", "images", time.Since(start).Seconds(), strings.Join(a.Images, ", "))
	}
	return nil
}

func (l *Lab) loadInto(ctx context.Context, node string, a archive.Archive) error {
	content, err := a.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	var output bytes.Buffer
	// The waits of l.wait are shown with their limits, which do not bound the command.
	code, err := l.shell(ctx, l.opts.Waiter, node, nodeshell.Session{
		Args:  []string{"ctr", "--namespace", "k8s.io", "images", "import", "--snapshotter", "overlayfs", "-"},
		Stdin: content, Stdout: &output, Stderr: &output,
	})
	if err == nil && code != 0 {
		err = fmt.Errorf("containerd refuses it: %s", bytes.TrimSpace(output.Bytes()))
	}
	if err != nil {
		return fmt.Errorf("load %s into %s: %w", a.Path, node, err)
	}
	return nil
}
