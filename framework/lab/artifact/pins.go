package artifact

// Pin is a program that a Go module below hack/ pins.
type Pin struct {
	Program string
	// Dir is the directory of the pinning module below hack/.
	Dir string
	// Module is the pinned module.
	Module string
}

// Pins returns what the lab and the checks are built with, as far as it has a
// version.
func Pins() []Pin {
	var pins []Pin
	for _, r := range kubernetesReleases {
		pins = append(pins, Pin{"Kubernetes", r.Module, "k8s.io/kubernetes"})
	}
	return append(pins,
		Pin{"etcd", etcd.Module, "go.etcd.io/etcd/server/v3"},
		Pin{"containerd", containerd.Module, "github.com/containerd/containerd/v2"},
		Pin{"PMEM-CSI", driver.Module, "github.com/intel/pmem-csi"},
		Pin{"external-provisioner", provisioner.Module, "github.com/kubernetes-csi/external-provisioner/v5"},
		Pin{"CoreDNS", coredns.Module, "github.com/coredns/coredns"},
		Pin{"CoreDNS on kind", corednsKubeadm.Module, "github.com/coredns/coredns"},
		Pin{"kubeadm", kubeadmModule, "k8s.io/kubernetes"},
		Pin{"crictl", crictl.Module, "sigs.k8s.io/cri-tools"},
		Pin{"staticcheck", "tools", "honnef.co/go/tools"},
	)
}

// SuitePin is the version of a package that a suite of Debian is taken to have.
type SuitePin struct {
	Package, Suite, Version string
	// Options are those of apt for the suite.
	Options []string
}

// SuitePins returns the packages on whose version the lab relies.
func SuitePins() []SuitePin {
	var pins []SuitePin
	for _, r := range memcachedReleases {
		pins = append(pins, SuitePin{"memcached", r.Suite, r.MemcachedVersion, r.options()})
	}
	for _, r := range kernelReleases {
		pins = append(pins, SuitePin{kernelPackage, r.Suite, r.Version, nil})
	}
	return pins
}
