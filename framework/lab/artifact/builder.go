package artifact

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"
)

// minFree is what a cold build writes at most, Go's caches aside.
const minFree = 8 << 30

// Builder makes the lab's parts from a checkout of this project.
type Builder struct {
	store      *Store
	root       string
	kubernetes Program
	memcached  []memcachedRelease
	kernel     kernelRelease
}

// NewBuilder returns a builder that reads the modules below root/hack and
// keeps what it makes, in the versions that are asked for, in store.
func NewBuilder(store *Store, root string, versions Versions) (*Builder, error) {
	b := &Builder{store: store, root: root}
	for _, r := range kubernetesReleases {
		if r.Version == versions.Kubernetes {
			b.kubernetes = r.program()
		}
	}
	if b.kubernetes.Module == "" {
		return nil, fmt.Errorf("there is no Kubernetes %q, but %s", versions.Kubernetes, kubernetesChoice())
	}
	for _, version := range versions.Memcached {
		i := slices.IndexFunc(memcachedReleases, func(r memcachedRelease) bool { return r.MemcachedVersion == version })
		if i < 0 {
			return nil, fmt.Errorf("there is no memcached %q, but %s", version, memcachedChoice())
		}
		b.memcached = append(b.memcached, memcachedReleases[i])
	}
	i := slices.IndexFunc(kernelReleases, func(r kernelRelease) bool { return r.Version == versions.Kernel })
	if i < 0 {
		return nil, fmt.Errorf("there is no kernel %q, but %s", versions.Kernel, kernelChoice())
	}
	b.kernel = kernelReleases[i]
	if _, err := os.Stat(filepath.Join(root, "hack", b.kubernetes.Module, "go.mod")); err != nil {
		return nil, fmt.Errorf("the lab's parts are built from a checkout of pmem-memcached-e2e, and %q is none: change into one, or give the KUBECONFIG of a cluster that is there", root)
	}
	return b, nil
}

// roots returns the root filesystems that the disk is made from.
func (b *Builder) roots() []RootFS {
	roots := []RootFS{b.kernel.root(), driverRoot}
	for _, r := range b.memcached {
		roots = append(roots, r.root())
	}
	return roots
}

// images returns what the node has, so that it need not pull anything.
func (b *Builder) images() []Image {
	images := slices.Clone(Images)
	for _, r := range b.memcached {
		images = append(images, r.image())
	}
	return images
}

// Parts are the directories and files that a lab starts from.
type Parts struct {
	// Kubernetes and Etcd are executables. Kubernetes acts as the program by
	// whose name it is started.
	Kubernetes, Etcd string
	// Kernel, InitRD and Disk are what the node boots; Disk must stay as it
	// is.
	Kernel, InitRD, Disk string
	// QEMU runs the nodes.
	QEMU QEMU
	// Driver is the directory with the YAML of PMEM-CSI's release.
	Driver string
	// Directories of the store that hold all of these.
	Directories []string
}

// Parts makes what is missing, and returns all of it. Programs and root
// filesystems are made side by side: one waits for the processor, the other
// for downloads.
func (b *Builder) Parts(ctx context.Context) (*Parts, error) {
	disk, err := b.diskArtifact()
	if err != nil {
		return nil, err
	}
	if err := b.expect(disk); err != nil {
		return nil, err
	}
	b.store.progress.Doing(b.store.work.String)
	defer b.store.progress.Doing(nil)
	if !exists(b.store.Path(disk)) {
		if err := b.prepare(ctx); err != nil {
			return nil, err
		}
	}
	var p Parts
	for _, want := range []struct {
		program Program
		file    string
		path    *string
	}{
		{b.kubernetes, "kubernetes", &p.Kubernetes},
		{etcd, "etcd", &p.Etcd},
		{driver, "", &p.Driver},
	} {
		dir, err := b.program(ctx, want.program)
		if err != nil {
			return nil, err
		}
		*want.path = filepath.Join(dir, want.file)
		p.Directories = append(p.Directories, dir)
	}
	dir, err := b.store.Get(ctx, disk)
	if err != nil {
		return nil, err
	}
	p.Kernel, p.InitRD, p.Disk = filepath.Join(dir, kernelFile), filepath.Join(dir, initrdFile), filepath.Join(dir, diskFile)
	p.Directories = append(p.Directories, dir)
	if dir, err = b.store.Get(ctx, qemuArtifact()); err != nil {
		return nil, err
	}
	p.QEMU = QEMU(filepath.Join(dir, qemuDir))
	p.Directories = append(p.Directories, dir)
	return &p, nil
}

// programs returns the programs that a lab consists of, the quickest to build
// first.
func (b *Builder) programs() []Program {
	return []Program{pause, nodeShell, registrar, etcd, containerd, driver, provisioner, coredns, b.kubernetes}
}

func (b *Builder) programPaths(programs ...Program) ([]string, error) {
	var paths []string
	for _, p := range programs {
		a, err := p.artifact(b.root)
		if err != nil {
			return nil, err
		}
		paths = append(paths, b.store.Path(a))
	}
	return paths, nil
}

// Paths returns where all artifacts are, or will be, that a lab is made from.
func (b *Builder) Paths() ([]string, error) {
	disk, err := b.diskArtifact()
	if err != nil {
		return nil, err
	}
	paths, err := b.programPaths(b.programs()...)
	if err != nil {
		return nil, err
	}
	paths = append(paths, b.store.Path(disk), b.store.Path(qemuArtifact()))
	for _, r := range b.roots() {
		paths = append(paths, b.store.Path(r.artifact()))
	}
	for _, i := range b.images() {
		a, err := i.artifact(b)
		if err != nil {
			return nil, err
		}
		paths = append(paths, b.store.Path(a))
	}
	return paths, nil
}

// expect counts what is missing. A disk that is there does without what it was
// made from.
func (b *Builder) expect(disk Artifact) error {
	var paths []string
	var err error
	if exists(b.store.Path(disk)) {
		paths, err = b.programPaths(b.kubernetes, etcd, driver)
		paths = append(paths, b.store.Path(qemuArtifact()))
	} else {
		paths, err = b.Paths()
	}
	if err != nil {
		return err
	}
	b.store.work.expect(len(slices.DeleteFunc(paths, exists)))
	return nil
}

func (b *Builder) prepare(ctx context.Context) error {
	free, err := b.store.Free()
	if err != nil {
		return err
	}
	if free < minFree {
		return fmt.Errorf("%w: directory %s has %d MiB left and the lab's parts need up to %d MiB: free some, or name another with CACHE_DIR", ErrCache, b.store.dir, free>>20, minFree>>20)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		for _, p := range b.programs() {
			if _, err := b.program(ctx, p); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		if _, err := b.store.Get(ctx, qemuArtifact()); err != nil {
			return err
		}
		for _, r := range b.roots() {
			if _, err := b.store.Get(ctx, r.artifact()); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

func (b *Builder) program(ctx context.Context, p Program) (string, error) {
	a, err := p.artifact(b.root)
	if err != nil {
		return "", err
	}
	return b.store.Get(ctx, a)
}

// image returns the file of an image, which is made when it is missing.
func (b *Builder) image(ctx context.Context, i Image) (string, error) {
	a, err := i.artifact(b)
	if err != nil {
		return "", err
	}
	dir, err := b.store.Get(ctx, a)
	return filepath.Join(dir, imageTar), err
}

// copyFile copies an executable or a file with its mode.
func copyFile(dst, src string, mode os.FileMode) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return fmt.Errorf("copy %s to %s: %w", src, dst, err)
	}
	return out.Close()
}
