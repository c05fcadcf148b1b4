package artifact

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"sigs.k8s.io/kind/pkg/apis/config/defaults"
)

//go:embed kindnode
var kindNodeFiles embed.FS

const kindModule = "sigs.k8s.io/kind"

// kindNodeRoot is the root filesystem of a node that is a container. kind's Dockerfile
// (images/base) says what a node needs; what serves volumes of other kinds is left out. systemd has 30 s to start
// everything, also where the processor is emulated: generators and units that no such node needs
// are removed.
var kindNodeRoot = RootFS{
	Name:  "root-kind-node",
	Suite: Suite,
	Packages: []string{
		"systemd", "conntrack", "iptables", "nftables", "iproute2", "ethtool", "util-linux", "mount", "kmod", "procps", "hostname",
		"e2fsprogs", "xfsprogs", "ca-certificates", "crun", "containernetworking-plugins",
	},
	Late: []string{
		`cd "$1"/usr/lib/systemd && rm -rf system-generators/* system-environment-generators/* && for t in multi-user basic local-fs sockets timers graphical; do rm -rf system/$t.target.wants; done`,
		`find "$1"/usr/lib/systemd/system/sysinit.target.wants -type l ! -name 'systemd-journald*' -delete`,
		`rm -rf "$1"/etc/systemd/system/*.wants`,
		`ln -sf /usr/lib/systemd/system/multi-user.target "$1"/etc/systemd/system/default.target`,
		`echo ReadKMsg=no >> "$1"/etc/systemd/journald.conf`,
		`test -e "$1"/sbin/init || ln -s /usr/lib/systemd/systemd "$1"/sbin/init`,
		// The engine copies what is below /var for each node.
		`rm -rf "$1"/var/lib/dpkg/info "$1"/var/log/* "$1"/var/cache/*`,
	},
}

// kindNodeReference returns the name of the image of the nodes.
func (b *Builder) kindNodeReference() string {
	return Registry + "/kind-node:" + b.kubernetes.Version
}

// kindNodePart is the image of a kind cluster's nodes: kind's files over a Debian, the
// programs, and the images of all pods already unpacked in containerd's store.
func (b *Builder) kindNodePart() (*part, error) {
	made := &part{kind: imageKind, from: []*part{rootPart(kindNodeRoot.artifact())}}
	for _, i := range b.kindRuntimeImages() {
		image, err := b.imagePart(i)
		if err != nil {
			return nil, err
		}
		made.from = append(made.from, image)
	}
	for _, p := range b.kindPrograms() {
		program, err := b.programPart(p)
		if err != nil {
			return nil, err
		}
		made.from = append(made.from, program)
	}
	a := Artifact{Name: "kind-node", Make: b.makeKindNode}
	for _, p := range b.below(made.from, func(*part) bool { return true }) {
		a.Key.Add(string(p.kind), p.Name, p.Key.digest())
	}
	// Each release of kind has another node image.
	a.Key.Add("kind", defaults.Image)
	a.Key.Add("reference", b.kindNodeReference())
	a.Key.Add("links", fmt.Sprint(kindLinks))
	made.Artifact = a
	return made, addFiles(&made.Key, kindNodeFiles, "kindnode")
}

// kubeadmModule pins kubeadm of the default release of Kubernetes, the only one that kind's nodes can have.
const kubeadmModule = "kubeadm"

// kubeadm is that of the lab's release of Kubernetes.
func (b *Builder) kubeadm() Program {
	p := b.kubernetes
	p.Module, p.Packages = kubeadmModule, map[string]string{"kubeadm": "k8s.io/kubernetes/cmd/kubeadm"}
	return p
}

// kindPrograms are those of a node itself, in its own root filesystem.
func (b *Builder) kindPrograms() []Program { return []Program{containerd, crictl, b.kubeadm()} }

func (b *Builder) makeKindNode(ctx context.Context, out string, log io.Writer) (err error) {
	root := filepath.Join(out, "root")
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	if err := b.unpack(ctx, kindNodeRoot, root, out, log); err != nil {
		return err
	}
	if err := b.installKind(ctx, root, out, log); err != nil {
		return err
	}
	if err := b.importKindImages(ctx, root, log); err != nil {
		return err
	}
	// Kubernetes' programs lie in the image of the pods, too; they are the same file.
	if err := shareKubernetes(root); err != nil {
		return err
	}
	layer := filepath.Join(out, "layer.tar")
	if err := run(ctx, out, filepath.Join(out, scratchDir), os.Environ(), log, "tar", "-C", root, "--numeric-owner", "--xattrs", "--sort=name", "-cf", layer, "."); err != nil {
		return err
	}
	return errors.Join(b.writeKindNode(layer, filepath.Join(out, imageTar)), os.Remove(layer))
}

// installKind puts kind's files, the programs and this package's files over root.
func (b *Builder) installKind(ctx context.Context, root, out string, log io.Writer) error {
	files, err := b.kindFiles(ctx, log)
	if err != nil {
		return err
	}
	if err := copyTree(filepath.Join(files, "images/base/files"), root); err != nil {
		return fmt.Errorf("files of the module %s: %w", kindModule, err)
	}
	for _, p := range b.kindPrograms() {
		dir, err := b.program(ctx, p)
		if err != nil {
			return err
		}
		for name := range p.Packages {
			// kind looks for kubeadm and crictl in PATH, and for the kubelet in /usr/bin.
			if err := copyFile(filepath.Join(root, "usr/local/bin", name), filepath.Join(dir, name), 0o755); err != nil {
				return err
			}
		}
	}
	if err := place(kindNodeFiles, "kindnode", root, []placed{
		{"containerd.toml", "etc/containerd/config.toml", 0o644},
		{"cni.conflist", "kind/cni.conflist", 0o644},
		{"default-cni.yaml", "kind/manifests/default-cni.yaml", 0o644},
		{"default-storage.yaml", "kind/manifests/default-storage.yaml", 0o644},
		{"pod-network.sh", "kind/bin/pod-network.sh", 0o755},
		{"kind-network.service", "etc/systemd/system/kind-network.service", 0o644},
		{"containerd.conf", "etc/systemd/system/containerd.service.d/emulated.conf", 0o644},
		{"kubelet.conf", "etc/systemd/system/kubelet.service.d/20-emulated.conf", 0o644},
		{"kubelet.env", "etc/default/kubelet", 0o644},
	}, func(content []byte) []byte {
		return bytes.ReplaceAll(content, []byte("@PAUSE_IMAGE@"), []byte(PauseImage.Reference()))
	}); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "kind/version"), []byte(b.kubernetes.Version), 0o644); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, "etc/kubernetes/manifests"), 0o755); err != nil {
		return err
	}
	for name, target := range kindLinks {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(target, path); err != nil {
			return err
		}
	}
	return nil
}

const (
	kindUnits  = "/etc/systemd/system/"
	kindWanted = "etc/systemd/system/multi-user.target.wants/"
)

// kindLinks are symbolic links of a node by their paths: what starts with it, and the name under which ctr looks
// for what runs containers.
var kindLinks = map[string]string{
	kindWanted + "containerd.service":   kindUnits + "containerd.service",
	kindWanted + "kubelet.service":      kindUnits + "kubelet.service",
	kindWanted + "kind-network.service": kindUnits + "kind-network.service",
	"usr/local/sbin/runc":               "/usr/bin/crun",
}

// kindFiles returns the directory of kind's module, which is fetched if it is not there.
func (b *Builder) kindFiles(ctx context.Context, log io.Writer) (string, error) {
	env := append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	if err := fetchModule(ctx, kindModule, b.root, env, log); err != nil {
		return "", err
	}
	return locateModule(ctx, kindModule, b.root, env, log)
}

// copyTree copies the files below src over those below dst. Files of a module have no
// permissions to execute; kind's Dockerfile gives it to all below a directory bin.
func copyTree(src, dst string) error {
	return filepath.WalkDir(src, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, file)
		if err != nil {
			return err
		}
		to := filepath.Join(dst, rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		mode := os.FileMode(0o644)
		if path.Base(path.Dir(filepath.ToSlash(rel))) == "bin" {
			mode = 0o755
		}
		if err := copyFile(to, file, mode); err != nil {
			return err
		}
		return os.Chmod(to, mode)
	})
}

// importKindImages has the node's containerd take in the images, under the names that kubeadm
// gives them.
func (b *Builder) importKindImages(ctx context.Context, root string, log io.Writer) error {
	names, err := b.kubeadmNames(ctx, log)
	if err != nil {
		return err
	}
	if err := b.inContainerd(ctx, root, log, func(ctr func(args ...string) error) error {
		for _, i := range b.kindRuntimeImages() {
			if err := b.importImage(ctx, ctr, i, append([]string{i.Reference()}, names[i.Reference()]...)...); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return moveOut(root)
}

// kubeadmNames maps the images of the node to the names by which kubeadm's pods ask for them.
func (b *Builder) kubeadmNames(ctx context.Context, log io.Writer) (map[string][]string, error) {
	dir, err := b.program(ctx, b.kubeadm())
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "kubeadm"), "config", "images", "list", "--kubernetes-version", b.kubernetes.Version)
	cmd.Stderr = log
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("names of kubeadm's images: %w", err)
	}
	images := map[string]Image{"etcd": etcdImage, "coredns": corednsKubeadmImage, "pause": PauseImage}
	for _, server := range kubernetesServers {
		images[server] = b.kubernetesImage()
	}
	names := map[string][]string{}
	for full := range strings.FieldsSeq(string(list)) {
		last, _, _ := strings.Cut(path.Base(full), ":")
		image, ok := images[last]
		if !ok {
			return nil, fmt.Errorf("kubeadm wants an image %s, of which nothing is known", full)
		}
		names[image.Reference()] = append(names[image.Reference()], full)
	}
	return names, nil
}

// Directories of containerd's store, below /var in a node, whose entries lie elsewhere in its image.
const (
	storeDir  = "var/lib/containerd"
	snapshots = "io.containerd.snapshotter.v1.overlayfs/snapshots"
	blobs     = "io.containerd.content.v1.content/blobs/sha256"
)

// moveOut moves the content of containerd's store out of /var and leaves links to it: the engine
// copies all that an image has below /var for each node, which takes minutes on an emulated
// processor. What is unpacked stays as it is; containers write elsewhere.
func moveOut(root string) error {
	for _, dir := range []string{snapshots, blobs} {
		to := filepath.Join("kind/store", path.Base(dir))
		if err := os.MkdirAll(filepath.Join(root, to), 0o755); err != nil {
			return err
		}
		from := filepath.Join(root, storeDir, dir)
		entries, err := os.ReadDir(from)
		if err != nil {
			return fmt.Errorf("containerd's store: %w", err)
		}
		for _, e := range entries {
			if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(root, to, e.Name())); err != nil {
				return err
			}
			if err := os.Symlink(filepath.Join("/", to, e.Name()), filepath.Join(from, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// shareKubernetes gives the node's own programs of Kubernetes their names.
func shareKubernetes(root string) error {
	found, err := filepath.Glob(filepath.Join(root, "kind/store/snapshots/*/fs/usr/local/bin/kubernetes"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("want one image with Kubernetes' programs in the node, found %v (%v)", found, err)
	}
	for _, name := range []string{"kubelet", "kubectl"} {
		if err := os.Link(found[0], filepath.Join(root, "usr/bin", name)); err != nil {
			return err
		}
	}
	return nil
}

// writeKindNode writes the image with the given layer.
func (b *Builder) writeKindNode(layer, file string) error {
	content, err := tarball.LayerFromFile(layer, tarball.WithCompressionLevel(gzip.NoCompression))
	if err != nil {
		return fmt.Errorf("layer of the node: %w", err)
	}
	image, err := mutate.AppendLayers(empty.Image, content)
	if err != nil {
		return fmt.Errorf("image of the node: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return fmt.Errorf("image of the node: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	// As in kind's Dockerfile.
	config.Config = v1.Config{
		Entrypoint: []string{"/usr/local/bin/entrypoint", "/sbin/init"}, StopSignal: "SIGRTMIN+3",
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container=docker"},
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return fmt.Errorf("image of the node: %w", err)
	}
	tag, err := name.NewTag(b.kindNodeReference())
	if err != nil {
		return fmt.Errorf("image of the node: %w", err)
	}
	return tarball.WriteToFile(file, tag, image)
}
