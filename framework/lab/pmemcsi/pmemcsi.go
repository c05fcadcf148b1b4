// Package pmemcsi has what a lab knows of PMEM-CSI: its names, its modes and
// what each of them needs.
package pmemcsi

import (
	"fmt"
	"slices"
)

// Names that the driver's release uses.
const (
	Name      = "pmem-csi.intel.com"
	Namespace = "pmem-csi"
	// NodeLabel has the name of the node on all that the driver offers of it.
	NodeLabel = Name + "/node"
	// PodLabel is NodePod of the driver's pod on a node.
	PodLabel = "app.kubernetes.io/name"
	NodePod  = "pmem-csi-node"
	SetupPod = "pmem-csi-node-setup" // of the pod that turns raw persistent memory into volume groups
	// ConvertLabel asks the driver to turn the node's raw persistent memory
	// into a volume group, with the value Convert (PMEM-CSI's installation guide).
	ConvertLabel = Name + "/convert-raw-namespaces"
	Convert      = "force"
)

// Mode is a mode of PMEM-CSI, its flag -deviceManager.
type Mode string

const (
	// LVM has volumes be logical volumes. The persistent memory of a node is a
	// part of its main memory that the kernel takes for such by an argument.
	LVM Mode = "lvm"
	// Direct has volumes be namespaces of the node's persistent memory, which
	// is an NVDIMM, because only a device has labels to keep them in.
	Direct Mode = "direct"
)

// Modes are all of them, the default first.
var Modes = []Mode{LVM, Direct}

// ParseMode reads the variable LAB_DRIVER, which may be unset.
func ParseMode(text string) (Mode, error) {
	if text != "" && !slices.Contains(Modes, Mode(text)) {
		return "", fmt.Errorf("LAB_DRIVER=%q: there is no such mode of the driver; give one of %s, or leave it unset for %s", text, Modes, LVM)
	}
	return Mode(text), nil
}

// Label is what makes a node one of the driver's. Volume groups are made by
// the driver, which then sets the other label itself.
func (m Mode) Label() string {
	if m == Direct {
		return "storage=pmem"
	}
	return ConvertLabel + "=" + Convert
}

// Files are applied as the driver's release has them, but for the names of
// images.
func (m Mode) Files() []string {
	return []string{
		"pmem-csi-" + string(m) + ".yaml",
		"pmem-storageclass-ext4.yaml",
		"pmem-storageclass-ext4-fileio.yaml",
		"pmem-storageclass-xfs.yaml",
		"pmem-storageclass-late-binding.yaml",
	}
}
