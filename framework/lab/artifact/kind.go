package artifact

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Programs that only the nodes of a kind cluster have.
var (
	crictl = Program{
		Module:   "crictl",
		Version:  "v1.36.0",
		Packages: map[string]string{"crictl": "sigs.k8s.io/cri-tools/cmd/crictl"},
		LDFlags:  []string{"-X sigs.k8s.io/cri-tools/pkg/version.Version=%s"},
	}
	// corednsKubeadm has the plugins that kubeadm's configuration names.
	corednsKubeadm = Program{
		Module:   "coredns-kubeadm",
		Version:  coredns.Version,
		Packages: map[string]string{"coredns": "."},
	}
)

// proxyRoot has what kube-proxy calls.
var proxyRoot = RootFS{Name: "root-kubernetes", Suite: Suite, Packages: []string{"iptables", "nftables", "conntrack", "kmod"}}

// kubernetesImage is Kubernetes' programs in one image, which has their names.
func (b *Builder) kubernetesImage() Image {
	return Image{Name: "kubernetes", Tag: b.kubernetes.Version, Base: &proxyRoot,
		Program: &b.kubernetes, Executable: "kubernetes", Path: "/usr/local/bin/kubernetes", Links: kubernetesServers,
		Config: v1.Config{Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", collectLess}}}
}

// collectLess has a program of Go collect garbage less often: memory is cheaper than an emulated processor.
const collectLess = "GOGC=400"

// kubernetesServers are the programs that kubeadm runs in pods.
var kubernetesServers = []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"}

var (
	etcdImage = Image{Name: "etcd", Tag: etcd.Version, Program: &etcd, Executable: "etcd", Path: "/usr/local/bin/etcd",
		Config: v1.Config{Entrypoint: []string{"/usr/local/bin/etcd"}, Env: []string{"PATH=/usr/local/bin", collectLess}}}
	corednsKubeadmImage = Image{Name: "coredns-kubeadm", Tag: corednsKubeadm.Version, Program: &corednsKubeadm, Executable: "coredns", Path: "/coredns",
		Config: v1.Config{Entrypoint: []string{"/coredns"}, Env: []string{collectLess}}}
)

// kindRuntimeImages are those that a node of a kind cluster has by itself.
func (b *Builder) kindRuntimeImages() []Image {
	return []Image{PauseImage, b.kubernetesImage(), etcdImage, corednsKubeadmImage, DriverImage, ProvisionerImage, RegistrarImage, b.memcached[0].image()}
}

// kindImages are those of which the suite gets archives. The node has all but the last
// already, so that one is really loaded.
func (b *Builder) kindImages() []Image {
	images := []Image{DriverImage, ProvisionerImage, RegistrarImage}
	for _, r := range b.memcached {
		images = append(images, r.image())
	}
	return images
}

// KindParts are what a machine that has a container engine and persistent memory starts
// from, and what a kind cluster there needs without a registry.
type KindParts struct {
	Kernel, InitRD, Disk string
	QEMU                 QEMU
	// NodeImage is the name of the image of the nodes, which the engine has.
	NodeImage string
	// Images are archives with PMEM-CSI and memcached.
	Images []string
}

// kindParts are the parts themselves.
type kindParts struct {
	qemu, node, disk *part
	images           []*part
}

func (p kindParts) all() []*part { return append([]*part{p.qemu, p.node, p.disk}, p.images...) }

func (b *Builder) kindParts() (p kindParts, err error) {
	p.qemu = rootPart(qemuArtifact())
	if p.node, err = b.kindNodePart(); err != nil {
		return p, err
	}
	if p.disk, err = b.kindDiskPart(p.node); err != nil {
		return p, err
	}
	for _, i := range b.kindImages() {
		image, err := b.imagePart(i)
		if err != nil {
			return p, err
		}
		p.images = append(p.images, image)
	}
	return p, nil
}

// hasKubeadm reports whether there is a kubeadm of the chosen release of Kubernetes.
func (b *Builder) hasKubeadm() bool { return b.kubernetes.Version == kubernetesReleases[0].Version }

// KindPaths returns where all artifacts are, or will be, that [Builder.KindParts] makes; none if it refuses the release of Kubernetes.
func (b *Builder) KindPaths() ([]string, error) {
	if !b.hasKubeadm() {
		return nil, nil
	}
	of, err := b.kindParts()
	if err != nil {
		return nil, err
	}
	return b.paths(of.all()), nil
}

// KindParts makes what is missing, and returns all of it.
func (b *Builder) KindParts(ctx context.Context) (*KindParts, error) {
	if !b.hasKubeadm() {
		return nil, fmt.Errorf("there is no kubeadm %s, but %s (hack/%s): leave LAB_KUBERNETES unset", b.kubernetes.Version, kubernetesReleases[0].Version, kubeadmModule)
	}
	of, err := b.kindParts()
	if err != nil {
		return nil, err
	}
	if err := b.makeAll(ctx, of.all(), of.disk); err != nil {
		return nil, err
	}
	file := func(part *part, name string) string { return filepath.Join(b.store.Path(part.Artifact), name) }
	p := &KindParts{
		Kernel: file(of.disk, kernelFile), InitRD: file(of.disk, initrdFile), Disk: file(of.disk, diskFile),
		QEMU: QEMU(file(of.qemu, qemuDir)), NodeImage: b.kindNodeReference(),
	}
	for _, image := range of.images {
		p.Images = append(p.Images, file(image, imageTar))
	}
	return p, nil
}

// placed is a file of this package, and where a machine has it.
type placed struct {
	name, path string
	mode       os.FileMode
}

// place writes the files of the directory dir of files below root, with words replaced.
func place(files embed.FS, dir, root string, all []placed, replace func([]byte) []byte) error {
	for _, f := range all {
		content, err := files.ReadFile(dir + "/" + f.name)
		if err != nil {
			return err
		}
		path := filepath.Join(root, f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, replace(content), f.mode); err != nil {
			return err
		}
	}
	return nil
}

// addFiles adds the files of the directory dir of files to a key.
func addFiles(k *Key, files embed.FS, dir string) error {
	entries, err := files.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("files of %s: %w", dir, err)
	}
	for _, e := range entries {
		content, err := files.ReadFile(dir + "/" + e.Name())
		if err != nil {
			return err
		}
		k.Add("file", e.Name(), string(content))
	}
	return nil
}
