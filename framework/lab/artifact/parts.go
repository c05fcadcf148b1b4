package artifact

import v1 "github.com/google/go-containerregistry/pkg/v1"

// program returns the release's programs. What it says of the version is what
// they say of themselves; what is built is what the module pins.
func (r kubernetesRelease) program() Program {
	return Program{
		Module:   r.Module,
		Version:  r.Version,
		Packages: map[string]string{"kubernetes": "."},
		LDFlags: []string{
			"-X k8s.io/component-base/version.gitVersion=%s",
			"-X k8s.io/component-base/version.gitMajor=1",
			"-X k8s.io/component-base/version.gitMinor=" + r.minor(),
			"-X k8s.io/component-base/version.gitTreeState=clean",
			"-X k8s.io/client-go/pkg/version.gitVersion=%s",
		},
	}
}

// The programs of the lab of which there is one version each.
var (
	etcd = Program{
		Module:   "etcd",
		Version:  "v3.7.3",
		Packages: map[string]string{"etcd": "go.etcd.io/etcd/server/v3"},
	}
	containerd = Program{
		Module:  "containerd",
		Version: "2.4.2",
		Packages: map[string]string{
			"containerd":              "github.com/containerd/containerd/v2/cmd/containerd",
			"containerd-shim-runc-v2": "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
			"ctr":                     "github.com/containerd/containerd/v2/cmd/ctr",
		},
		LDFlags: []string{"-X github.com/containerd/containerd/v2/version.Version=%s"},
		Tags:    "no_btrfs,no_devmapper,no_zfs",
	}
	driver = Program{
		Module:   "pmem-csi",
		Version:  "v1.1.0",
		Packages: map[string]string{"pmem-csi-driver": "."},
		LDFlags:  []string{"-X github.com/intel/pmem-csi/pkg/pmem-csi-driver.version=%s"},
		Cgo:      true,
		// Go 1.24 and newer refuse the driver's methods on C types.
		Toolchain: "go1.22.12",
		Extra: map[string][]string{"github.com/intel/pmem-csi": {
			"deploy/kubernetes-1.25/pmem-csi-lvm.yaml",
			"deploy/kubernetes-1.25/pmem-csi-direct.yaml",
			"deploy/common/pmem-storageclass-ext4.yaml",
			"deploy/common/pmem-storageclass-ext4-fileio.yaml",
			"deploy/common/pmem-storageclass-xfs.yaml",
			"deploy/common/pmem-storageclass-late-binding.yaml",
		}},
	}
	provisioner = Program{
		Module:   "external-provisioner",
		Version:  "v5.1.0",
		Packages: map[string]string{"csi-provisioner": "github.com/kubernetes-csi/external-provisioner/v5/cmd/csi-provisioner"},
		LDFlags:  []string{"-X main.version=%s"},
	}
	registrar = Program{
		Module:   "node-driver-registrar",
		Packages: map[string]string{"csi-node-driver-registrar": "."},
	}
	coredns = Program{
		Module:   "coredns",
		Version:  "v1.15.0",
		Packages: map[string]string{"coredns": "."},
	}
	nodeShell = Program{
		Module:   "node-shell",
		Sources:  []string{"framework/lab/nodeshell"},
		Packages: map[string]string{"node-shell": "."},
	}
	lyingMemcached = Program{
		Module:   LyingMemcached,
		Sources:  []string{"framework/mutant/liar"},
		Packages: map[string]string{LyingMemcached: "."},
	}
	lyingDriver = Program{
		Module:   LyingDriver,
		Packages: map[string]string{LyingDriver: "."},
	}
	pause = Program{
		Module:   "pause",
		Packages: map[string]string{"pause": "."},
	}
)

// driverRoot has what the driver calls: mkfs, LVM and the tools that report
// on persistent memory. No udev runs in a container, so LVM makes its device
// nodes itself.
var driverRoot = RootFS{
	Name:     "root-pmem-csi",
	Suite:    Suite,
	Packages: []string{"file", "xfsprogs", "e2fsprogs", "lvm2", "ndctl", "libndctl6", "libdaxctl1", "parted", "util-linux", "mount"},
	Late: []string{
		`printf 'activation { udev_sync=0 udev_rules=0 }\ndevices { obtain_device_list_from_udev=0 multipath_component_detection=0 md_component_detection=0 use_devicesfile=0 }\nglobal { notify_dbus=0 }\nbackup { backup=0 archive=0 }\n' > "$1"/etc/lvm/lvmlocal.conf`,
	},
}

// root has memcached under the user and group that the image of the memcached
// project uses, so that manifests written for that one fit.
func (r memcachedRelease) root() RootFS {
	return RootFS{
		Name:     "root-memcached",
		Suite:    r.Suite,
		Options:  r.options(),
		Packages: []string{"memcached", "coreutils", "util-linux", "bash", "dash", "grep"},
		Early: []string{
			`echo 'memcache:x:11211:' >> "$1"/etc/group`,
			`echo 'memcache:x:11211:11211::/nonexistent:/usr/sbin/nologin' >> "$1"/etc/passwd`,
		},
		Late: []string{`v=$(chroot "$1" dpkg-query -W -f '${source:Upstream-Version}' memcached); test "$v" = ` + r.MemcachedVersion + ` || { echo "the suite has memcached $v, not ` + r.MemcachedVersion + `: set MemcachedVersion" >&2; exit 1; }`},
	}
}

const memcachedName = "memcached"

// image is Debian's memcached.
func (r memcachedRelease) image() Image {
	root := r.root()
	return Image{Name: memcachedName, Tag: r.MemcachedVersion, Base: &root,
		Config: v1.Config{Cmd: []string{"memcached"}, User: "memcache", Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}}
}

// lyingImage is Debian's memcached behind one that lies.
func (r memcachedRelease) lyingImage() Image {
	i := r.image()
	i.Name, i.Program, i.Executable, i.Path = LyingMemcached, &lyingMemcached, LyingMemcached, "/usr/local/bin/memcached"
	return i
}

var (
	// PauseImage holds a pod's namespaces.
	PauseImage = Image{Name: "pause", Tag: "1", Program: &pause, Executable: "pause", Path: "/pause",
		Config: v1.Config{Entrypoint: []string{"/pause"}, User: "65535:65535"}}
	// CoreDNSImage is the cluster's DNS server.
	CoreDNSImage = Image{Name: "coredns", Tag: coredns.Version, Program: &coredns, Executable: "coredns", Path: "/coredns",
		Config: v1.Config{Entrypoint: []string{"/coredns"}, User: "65532:65532"}}
	// DriverImage is PMEM-CSI.
	DriverImage = Image{Name: "pmem-csi-driver", Tag: driver.Version, Base: &driverRoot, Program: &driver, Executable: "pmem-csi-driver", Path: "/usr/local/bin/pmem-csi-driver",
		Config: v1.Config{Entrypoint: []string{"/usr/local/bin/pmem-csi-driver"}, Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}}
	// ProvisionerImage is the CSI external-provisioner.
	ProvisionerImage = Image{Name: "csi-provisioner", Tag: provisioner.Version, Program: &provisioner, Executable: "csi-provisioner", Path: "/csi-provisioner",
		Config: v1.Config{Entrypoint: []string{"/csi-provisioner"}}}
	// RegistrarImage stands in for the CSI node-driver-registrar.
	RegistrarImage = Image{Name: "csi-node-driver-registrar", Tag: "1", Program: &registrar, Executable: "csi-node-driver-registrar", Path: "/csi-node-driver-registrar",
		Config: v1.Config{Entrypoint: []string{"/csi-node-driver-registrar"}}}
)

// LyingDriverImage is a driver that lies, in front of PMEM-CSI. No node has it by itself.
var LyingDriverImage = Image{Name: LyingDriver, Tag: "1", Program: &lyingDriver, Executable: LyingDriver, Path: "/" + LyingDriver,
	Config: v1.Config{Entrypoint: []string{"/" + LyingDriver}}}

// Images are the images of the lab's own pods.
var Images = []Image{PauseImage, CoreDNSImage, DriverImage, ProvisionerImage, RegistrarImage}
