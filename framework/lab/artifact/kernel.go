package artifact

import (
	"fmt"
	"strings"
)

const kernelPackage = "linux-image-cloud-amd64"

// kernelRelease is the kernel that a suite of Debian has, in its flavour for
// virtual machines. Stable suites keep the minor version of theirs.
type kernelRelease struct {
	Suite, Version string
	// Runtime is the package and Binary the path of what runs containers.
	Runtime, Binary string
}

// kernelReleases has the default first. Each step of a container's life is a
// process of the runtime's own, and under emulation one in C starts many times
// faster than one in Go; but bookworm's crun 1.8.1 refuses what containerd 2.4
// asks for ("unknown version specified", it is 1.3.0 of the OCI specification).
var kernelReleases = []kernelRelease{
	{Suite, "6.12", "crun", "/usr/bin/crun"},
	{"bookworm", "6.1", "runc", "/usr/sbin/runc"},
}

// is reports whether name is the release's or that of its suite.
func (r kernelRelease) is(name string) bool { return name == r.Version || name == r.Suite }

func kernelChoice() string {
	var names []string
	for _, r := range kernelReleases {
		names = append(names, fmt.Sprintf("%s (%s)", r.Version, r.Suite))
	}
	return strings.Join(names, ", ") + ", each from Debian's suite of that name"
}

// root returns the root filesystem of a node with the kernel.
func (r kernelRelease) root() RootFS {
	return RootFS{
		Name:  "root-node",
		Suite: r.Suite,
		Packages: []string{
			"systemd", "systemd-sysv", "dbus", "udev", "kmod", "iproute2", "nftables", "conntrack", "ethtool",
			"e2fsprogs", "xfsprogs", "lvm2", "ndctl", "containernetworking-plugins", "ca-certificates",
			kernelPackage, "initramfs-tools", "zstd", r.Runtime,
		},
		// The initial RAM disk only has to find the root disk.
		Early: []string{
			`mkdir -p "$1"/etc/initramfs-tools/conf.d`,
			`printf 'MODULES=list\nBUSYBOX=n\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n' > "$1"/etc/initramfs-tools/conf.d/lab`,
			`printf 'virtio_pci\nvirtio_blk\next4\n' > "$1"/etc/initramfs-tools/modules`,
		},
		Late: []string{
			`rm -f "$1"/etc/machine-id && touch "$1"/etc/machine-id`,
		},
	}
}
