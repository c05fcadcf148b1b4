package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

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
// filesystems are made in parallel: one waits for the processor, the other
// for downloads.
func (b *Builder) Parts(ctx context.Context) (*Parts, error) {
	of, err := b.parts()
	if err != nil {
		return nil, err
	}
	if err := b.makeAll(ctx, of.all(), of.disk); err != nil {
		return nil, err
	}
	var p Parts
	for _, part := range of.all() {
		p.Directories = append(p.Directories, b.store.Path(part.Artifact))
	}
	file := func(part *part, name string) string { return filepath.Join(b.store.Path(part.Artifact), name) }
	p.Kubernetes, p.Etcd, p.Driver = file(of.kubernetes, "kubernetes"), file(of.etcd, "etcd"), file(of.driver, "")
	p.Kernel, p.InitRD, p.Disk = file(of.disk, kernelFile), file(of.disk, initrdFile), file(of.disk, diskFile)
	p.QEMU = QEMU(file(of.qemu, qemuDir))
	return &p, nil
}

// makeAll makes those of the parts that are missing. If the disk is there, all that only it is
// made from has done its work.
func (b *Builder) makeAll(ctx context.Context, of []*part, disk *part) error {
	missing := b.missing(of)
	if err := tools(missing); err != nil {
		return err
	}
	b.store.work.expect(len(missing))
	b.store.progress.Doing(b.store.work.String)
	defer b.store.progress.Doing(nil)
	if slices.Contains(missing, disk) {
		if err := b.prepare(ctx, missing); err != nil {
			return err
		}
	}
	for _, part := range of {
		if _, err := b.store.Get(ctx, part.Artifact); err != nil {
			return err
		}
	}
	return nil
}

// ErrTool is wrapped by errors that say that a program is missing with which parts are made.
var ErrTool = errors.New("a part of the lab cannot be made")

// tools finds out whether the programs are there with which the missing parts are made.
func tools(missing []*part) error {
	for kind, tool := range map[kind]string{programKind: "go", rootKind: "mmdebstrap"} {
		i := slices.IndexFunc(missing, func(p *part) bool { return p.kind == kind })
		if i < 0 {
			continue
		}
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: %s: %w; install %s, or name with CACHE_DIR a cache that has all parts", ErrTool, missing[i].Name, err, tool)
		}
	}
	return nil
}

// Paths returns where all artifacts are, or will be, that a lab is made from.
func (b *Builder) Paths() ([]string, error) {
	of, err := b.parts()
	if err != nil {
		return nil, err
	}
	return b.paths(of.all()), nil
}

// paths are those of some parts and of all that they are made from.
func (b *Builder) paths(of []*part) []string {
	var paths []string
	for _, p := range b.below(of, func(*part) bool { return true }) {
		paths = append(paths, b.store.Path(p.Artifact))
	}
	return paths
}

// prepare makes those of the missing parts that take long: programs and root
// filesystems.
func (b *Builder) prepare(ctx context.Context, missing []*part) error {
	free, err := b.store.Free()
	if err != nil {
		return err
	}
	if free < minFree {
		return fmt.Errorf("%w: directory %s has %d MiB left and the lab's parts need up to %d MiB: free some, or name another with CACHE_DIR", ErrCache, b.store.dir, free>>20, minFree>>20)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, kind := range []kind{programKind, rootKind} {
		g.Go(func() error {
			for _, p := range missing {
				if p.kind != kind {
					continue
				}
				if _, err := b.store.Get(ctx, p.Artifact); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// Names of images that no node has by itself: a memcached that lies, in front of the first of the releases, and a
// driver that lies.
const (
	LyingMemcached = "lying-memcached"
	LyingDriver    = "lying-driver"
)

// LyingImages are the names of the images for [Builder.LyingImage].
var LyingImages = []string{LyingMemcached, LyingDriver}

// LyingImage returns the archive with the image of that name, which is made when it is missing.
func (b *Builder) LyingImage(ctx context.Context, name string) (string, error) {
	switch name {
	case LyingMemcached:
		return b.image(ctx, b.memcached[0].lyingImage())
	case LyingDriver:
		return b.image(ctx, LyingDriverImage)
	}
	return "", fmt.Errorf("there is no image %q to make, but %s", name, strings.Join(LyingImages, " and "))
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
	p, err := b.imagePart(i)
	if err != nil {
		return "", err
	}
	dir, err := b.store.Get(ctx, p.Artifact)
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
