package lab

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/images"
	"pmem-memcached-e2e/framework/lab/addons"
	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/nodeshell"
	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/lab/readiness"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/vm"
)

// readArchives reads those that the options name.
func (o Options) readArchives() ([]images.Archive, error) {
	archives, err := images.ReadAll(o.Images)
	if err != nil {
		err = fmt.Errorf("LAB_IMAGES: %w", err)
	}
	return archives, err
}

// LyingImage returns the path of an archive for LAB_IMAGES with an image of artifact.LyingImages.
func (l *Lab) LyingImage(ctx context.Context, name string) (path string, err error) {
	if !slices.Contains(artifact.LyingImages, name) {
		return "", fmt.Errorf("%w: there is no image %q to make, but %s", ErrUnknown, name, strings.Join(artifact.LyingImages, " and "))
	}
	err = l.withBuilder(func(b *artifact.Builder, _ artifact.Versions) error {
		path, err = b.LyingImage(ctx, name)
		return err
	})
	return path, hostError(err)
}

// MakeDriverLie has the driver on every node lie by a fault of hack/lying-driver or of [addons.Setups], and no longer if fault is empty.
func (l *Lab) MakeDriverLie(ctx context.Context, fault string) error {
	s := l.inspect()
	if err := s.Err(); err != nil {
		return err
	}
	client, err := plane.Client(l.dir)
	if err != nil {
		return err
	}
	defer l.doing("")
	if fault != "" && !slices.Contains(addons.Setups(), fault) {
		path, err := l.LyingImage(ctx, artifact.LyingDriver)
		if err != nil {
			return err
		}
		a, err := images.Read(path)
		if err != nil {
			return err
		}
		if err := l.loadAll(ctx, s.known.Plan, a); err != nil {
			return err
		}
	}
	l.doing("lab driver")
	replaced, err := addons.MakeDriverLie(ctx, client, fault)
	if err != nil || len(replaced) == 0 {
		return err
	}
	check := readiness.Checker{Client: client, Waiter: l.wait, Progress: l.progress}
	return vm.Each(ctx, l.machines(s.known.Plan, vm.MainMemory{}), func(ctx context.Context, m vm.Machine) error {
		return m.WithConsole(check.AwaitDriver(ctx, m, state.Node{Containers: replaced}))
	})
}

// Loaded returns the names of the images that the nodes get from archives, in the order of these.
func (l *Lab) Loaded() []string {
	var names []string
	for _, a := range l.archives {
		names = append(names, a.Images...)
	}
	return names
}

// load puts the images of the archives on every node of a plan.
func (l *Lab) load(ctx context.Context, plan state.Plan) error {
	defer l.doing("")
	for _, a := range l.archives {
		start := time.Now()
		if err := l.loadAll(ctx, plan, a); err != nil {
			return err
		}
		fmt.Fprintf(l.progress, "lab %-14s %5.1fs  %s\n", "images", time.Since(start).Seconds(), strings.Join(a.Images, ", "))
	}
	return nil
}

func (l *Lab) loadAll(ctx context.Context, plan state.Plan, a images.Archive) error {
	l.doing("lab images: load " + a.Path)
	return vm.Each(ctx, l.machines(plan, vm.MainMemory{}), func(ctx context.Context, m vm.Machine) error {
		return l.loadInto(ctx, m.Name(), a)
	})
}

func (l *Lab) loadInto(ctx context.Context, node string, a images.Archive) error {
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
