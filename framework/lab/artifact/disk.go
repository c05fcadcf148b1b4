package artifact

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"pmem-memcached-e2e/framework/wait"
)

//go:embed node
var nodeFiles embed.FS

const (
	kernelFile = "vmlinuz"
	initrdFile = "initrd.img"
	diskFile   = "disk.raw"
	// diskSize is the size of the node's filesystem; what is not used takes
	// no space on the host.
	diskSize = "6G"
)

// diskArtifact returns the node's disk. below are the parts that it is made
// from.
func (b *Builder) diskArtifact(below []*part) (Artifact, error) {
	a := Artifact{Name: "disk", Make: b.makeDisk}
	for _, p := range below {
		if p.kind == programKind || p.kind == rootKind {
			a.Key.Add(string(p.kind), p.Name, p.Key.digest())
		}
	}
	for _, i := range b.images() {
		a.Key.Add("image", i.Reference(), fmt.Sprint(i.Config), i.Path)
	}
	if err := addFiles(&a.Key, nodeFiles, "node"); err != nil {
		return a, err
	}
	a.Key.Add("runtime", b.kernel.Binary)
	a.Key.Add("size", diskSize)
	return a, nil
}

func (b *Builder) makeDisk(ctx context.Context, out string, log io.Writer) (err error) {
	root := filepath.Join(out, "root")
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	if err := b.unpack(ctx, b.kernel.root(), root, out, log); err != nil {
		return err
	}
	if err := b.installPrograms(ctx, root); err != nil {
		return err
	}
	if err := b.installFiles(root); err != nil {
		return err
	}
	if err := b.importImages(ctx, root, log); err != nil {
		return err
	}
	return finishDisk(ctx, root, out, diskSize, log)
}

// unpack puts the root filesystem r into the new directory root. What the tool has to keep
// aside is below out.
func (b *Builder) unpack(ctx context.Context, r RootFS, root, out string, log io.Writer) error {
	base, err := b.store.Get(ctx, r.artifact())
	if err != nil {
		return err
	}
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	// Who has root only in a user namespace cannot make devices. The kernel
	// makes the machine's.
	return run(ctx, out, filepath.Join(out, scratchDir), os.Environ(), log, "tar", "-C", root, "--numeric-owner", "--xattrs", "--exclude=./dev/*", "-xpf", filepath.Join(base, rootTar))
}

// finishDisk writes the kernel, the initial RAM disk and a disk of the given size with all
// the rest of root into out.
func finishDisk(ctx context.Context, root, out, size string, log io.Writer) error {
	if err := os.WriteFile(filepath.Join(root, "etc/fstab"), []byte("/dev/vda / ext4 defaults 0 0\n"), 0o644); err != nil {
		return err
	}
	for pattern, name := range map[string]string{"vmlinuz-*": kernelFile, "initrd.img-*": initrdFile} {
		found, err := filepath.Glob(filepath.Join(root, "boot", pattern))
		if err != nil || len(found) != 1 {
			return fmt.Errorf("want one /boot/%s in the root filesystem, found %v (%v)", pattern, found, err)
		}
		if err := copyFile(filepath.Join(out, name), found[0], 0o644); err != nil {
			return err
		}
		if err := os.Remove(found[0]); err != nil {
			return err
		}
	}
	return run(ctx, out, filepath.Join(out, scratchDir), os.Environ(), log, "mke2fs", "-q", "-t", "ext4", "-L", "node", "-d", root, filepath.Join(out, diskFile), size)
}

func (b *Builder) installPrograms(ctx context.Context, root string) error {
	bin := filepath.Join(root, "usr/local/bin")
	for _, p := range []Program{b.kubernetes, containerd, nodeShell} {
		dir, err := b.program(ctx, p)
		if err != nil {
			return err
		}
		for name := range p.Packages {
			if err := copyFile(filepath.Join(bin, name), filepath.Join(dir, name), 0o755); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{"kubelet", "kube-proxy"} {
		if err := os.Symlink("kubernetes", filepath.Join(bin, name)); err != nil {
			return err
		}
	}
	return nil
}

func (b *Builder) installFiles(root string) error {
	const units = "etc/systemd/system"
	return place(nodeFiles, "node", root, []placed{
		{"lab-node.sh", "usr/local/lib/lab/lab-node.sh", 0o755},
		{"lab-clock.sh", "usr/local/lib/lab/lab-clock.sh", 0o755},
		{"shutdown.conf", "etc/systemd/system.conf.d/lab.conf", 0o644},
		{"containerd.toml", "etc/containerd/config.toml", 0o644},
		{"lab.target", units + "/lab.target", 0o644},
		{"lab-node.service", units + "/lab-node.service", 0o644},
		{"lab-clock.service", units + "/lab-clock.service", 0o644},
		{"containerd.service", units + "/containerd.service", 0o644},
		{"kubelet.service", units + "/kubelet.service", 0o644},
		{"kube-proxy.service", units + "/kube-proxy.service", 0o644},
		{"node-shell.service", units + "/node-shell.service", 0o644},
		{"early.conf", units + "/dbus.socket.d/lab.conf", 0o644},
		{"early.conf", units + "/dbus.service.d/lab.conf", 0o644},
		{"early.conf", units + "/systemd-logind.service.d/lab.conf", 0o644},
	}, func(content []byte) []byte {
		content = bytes.ReplaceAll(content, []byte("@PAUSE_IMAGE@"), []byte(PauseImage.Reference()))
		return bytes.ReplaceAll(content, []byte("@RUNTIME@"), []byte(b.kernel.Binary))
	})
}

// importImages has containerd take in the images of the node.
func (b *Builder) importImages(ctx context.Context, root string, log io.Writer) error {
	return b.inContainerd(ctx, root, log, func(ctr func(args ...string) error) error {
		for _, i := range b.images() {
			if err := b.importImage(ctx, ctr, i, i.Reference()); err != nil {
				return err
			}
		}
		return nil
	})
}

// importImage has containerd take in an image, under further names, too.
func (b *Builder) importImage(ctx context.Context, ctr func(args ...string) error, i Image, names ...string) error {
	tar, err := b.image(ctx, i)
	if err != nil {
		return err
	}
	if err := ctr("images", "import", "--snapshotter", "overlayfs", tar); err != nil {
		return err
	}
	for _, name := range names {
		if name != i.Reference() {
			if err := ctr("images", "tag", i.Reference(), name); err != nil {
				return err
			}
		}
		if err := ctr("images", "label", name, "io.cri-containerd.image=managed"); err != nil {
			return err
		}
	}
	return nil
}

// inContainerd runs containerd on this host with the store of the node while do calls ctr.
func (b *Builder) inContainerd(ctx context.Context, root string, log io.Writer, do func(ctr func(args ...string) error) error) (err error) {
	dir, err := b.program(ctx, containerd)
	if err != nil {
		return err
	}
	// Not below the cache directory: the path of a socket must be short.
	state, err := os.MkdirTemp("", "pmem-lab-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(state)) }()
	config := filepath.Join(state, "config.toml")
	if err := os.WriteFile(config, []byte("version = 3\ndisabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.images', 'io.containerd.cri.v1.runtime', 'io.containerd.internal.v1.opt']\n"), 0o600); err != nil {
		return err
	}
	socket := filepath.Join(state, "containerd.sock")
	server := exec.CommandContext(ctx, filepath.Join(dir, "containerd"),
		"--config", config, "--root", filepath.Join(root, "var/lib/containerd"), "--state", filepath.Join(state, "state"), "--address", socket)
	server.Stdout, server.Stderr = log, log
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Unshareflags: syscall.CLONE_NEWNS}
	// Its mounts are its own and gone with it.
	ctr := func(args ...string) error {
		return run(ctx, state, filepath.Join(state, scratchDir), os.Environ(), log, filepath.Join(dir, "ctr"), append([]string{"--address", socket, "--namespace", "k8s.io"}, args...)...)
	}
	answers := func() error { return ctr("version") }
	return whileServing(ctx, "containerd", server, answers, func() error { return do(ctr) })
}

// whileServing runs a server on this host, calls do once it answers, and then ends it.
func whileServing(ctx context.Context, name string, server *exec.Cmd, answers, do func() error) error {
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	server.WaitDelay = stopLimit
	if err := server.Start(); err != nil {
		return fmt.Errorf("start %s on this host: %w", name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	defer func() {
		server.Process.Signal(syscall.SIGTERM)
		<-ended
	}()
	if err := (wait.Waiter{}).Until(ctx, wait.LabBuilder, name+" on this host", func(context.Context) (bool, string, error) {
		select {
		case err := <-ended:
			ended <- err
			return false, "", wait.Stop(fmt.Errorf("%s ended: %w", name, err))
		default:
		}
		err := answers()
		return err == nil, "no answer", err
	}); err != nil {
		return err
	}
	return do()
}
