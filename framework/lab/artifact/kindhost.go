package artifact

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

//go:embed kindhost
var kindHostFiles embed.FS

// kindDiskSize is the size of the machine's filesystem; what is not used takes no space here.
const kindDiskSize = "10G"

// kindHostRoot is the root filesystem of a machine with a container engine.
var kindHostRoot = RootFS{
	Name:  "root-kind-host",
	Suite: Suite,
	Packages: []string{
		"systemd", "systemd-sysv", "udev", "kmod", "iproute2", "iptables", "procps", "e2fsprogs", "xfsprogs", "lvm2", "ndctl", "ca-certificates",
		"docker.io", "docker-cli", "crun", kernelPackage, "initramfs-tools", "zstd",
	},
	// The initial RAM disk only has to find the root disk.
	Early: kernelReleases[0].root().Early,
	Late:  kernelReleases[0].root().Late,
}

// kindDiskPart is the disk of a machine with a container engine that has the image of the nodes.
func (b *Builder) kindDiskPart(node *part) (*part, error) {
	shell, err := b.programPart(nodeShell)
	if err != nil {
		return nil, err
	}
	made := &part{kind: diskKind, from: []*part{rootPart(kindHostRoot.artifact()), shell, node}}
	a := Artifact{Name: "kind-host", Make: func(ctx context.Context, out string, log io.Writer) error {
		return b.makeKindDisk(ctx, node, out, log)
	}}
	for _, p := range made.from {
		a.Key.Add(string(p.kind), p.Name, p.Key.digest())
	}
	a.Key.Add("size", kindDiskSize)
	a.Key.Add("engine", startDocker)
	made.Artifact = a
	return made, addFiles(&made.Key, kindHostFiles, "kindhost")
}

func (b *Builder) makeKindDisk(ctx context.Context, node *part, out string, log io.Writer) (err error) {
	root := filepath.Join(out, "root")
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	if err := b.unpack(ctx, kindHostRoot, root, out, log); err != nil {
		return err
	}
	shell, err := b.program(ctx, nodeShell)
	if err != nil {
		return err
	}
	if err := copyFile(filepath.Join(root, "usr/local/bin/node-shell"), filepath.Join(shell, "node-shell"), 0o755); err != nil {
		return err
	}
	const units = "etc/systemd/system"
	if err := place(kindHostFiles, "kindhost", root, []placed{
		{"kind-host.sh", "usr/local/lib/lab/kind-host.sh", 0o755},
		{"daemon.json", "etc/docker/daemon.json", 0o644},
		{"kind-host.target", units + "/kind-host.target", 0o644},
		{"kind-host.service", units + "/kind-host.service", 0o644},
		{"docker.service", units + "/docker.service", 0o644},
		{"node-shell.service", units + "/node-shell.service", 0o644},
	}, func(content []byte) []byte { return content }); err != nil {
		return err
	}
	image, err := b.store.Get(ctx, node.Artifact)
	if err != nil {
		return err
	}
	if err := loadIntoDocker(ctx, root, filepath.Join(image, imageTar), log); err != nil {
		return err
	}
	return finishDisk(ctx, root, out, kindDiskSize, log)
}

// startDocker runs the engine of a root filesystem with nothing of this host but its kernel:
// $1 is the root, $2 the socket in it. The engine changes how its root is mounted when it
// unpacks a layer, so that has to be a mount.
const startDocker = `mount --make-rprivate /
mount --bind "$1" "$1"
mount --rbind /proc "$1"/proc
mount --rbind /sys "$1"/sys
mount --rbind /dev "$1"/dev
mount -t tmpfs tmpfs "$1"/run
exec chroot "$1" dockerd --host "unix://$2" --bridge=none --iptables=false --ip6tables=false --storage-driver=overlay2 --config-file=/dev/null`

// loadIntoDocker has the engine of a root filesystem take in an image, which is much faster here
// than on an emulated processor.
func loadIntoDocker(ctx context.Context, root, archive string, log io.Writer) (err error) {
	const dir = "var/tmp/load"
	if err := os.Mkdir(filepath.Join(root, dir), 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(filepath.Join(root, dir))) }()
	socket := "/" + dir + "/docker.sock"
	server := exec.CommandContext(ctx, "sh", "-ec", startDocker, "sh", root, socket)
	server.Env, server.Stdout, server.Stderr = systemPath(), log, log
	// Its mounts are its own and gone with it.
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	docker := func(stdin io.Reader, args ...string) error {
		cmd := exec.CommandContext(ctx, "chroot", append([]string{root, "docker", "--host", "unix://" + socket}, args...)...)
		cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = systemPath(), stdin, log, log
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("docker %s: %w", args[0], err)
		}
		return nil
	}
	answers := func() error { return docker(nil, "version") }
	return whileServing(ctx, "docker", server, answers, func() error {
		file, err := os.Open(archive)
		if err != nil {
			return err
		}
		defer file.Close()
		return docker(file, "load")
	})
}
