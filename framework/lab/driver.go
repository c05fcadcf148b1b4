package lab

import (
	"fmt"
	"slices"
)

// Driver is a mode of PMEM-CSI, its flag -deviceManager.
type Driver string

const (
	// LVM has volumes be logical volumes. The persistent memory of a node is a
	// part of its main memory that the kernel takes for such by an argument.
	LVM Driver = "lvm"
	// Direct has volumes be namespaces of the node's persistent memory, which
	// is an NVDIMM, because only a device has labels to keep them in.
	Direct Driver = "direct"
)

// Drivers are all of them, the default first.
var Drivers = []Driver{LVM, Direct}

// ParseDriver reads the variable LAB_DRIVER, which may be unset.
func ParseDriver(text string) (Driver, error) {
	if text != "" && !slices.Contains(Drivers, Driver(text)) {
		return "", fmt.Errorf("LAB_DRIVER=%q: there is no such mode of the driver; give one of %s, or leave it unset for %s", text, Drivers, LVM)
	}
	return Driver(text), nil
}

// labelMiB is the part of an NVDIMM that holds its labels.
const labelMiB = 2

// memoryFile is the size in MiB of the file that is a node's persistent memory.
func (p plan) memoryFile() int {
	if p.Driver == Direct {
		return p.PMEM + labelMiB
	}
	return p.PMEM
}

// machine is the machine type, and memory its size.
func (p plan) machine() string {
	if p.Driver == Direct {
		return "q35,nvdimm=on"
	}
	return "q35"
}

func (p plan) memory() string {
	if p.Driver == Direct {
		// A device begins at a multiple of 1 GiB.
		return fmt.Sprintf("%dM,slots=1,maxmem=%dM", nodeDRAM, nodeDRAM+p.memoryFile()+1024)
	}
	return fmt.Sprint(nodeDRAM + p.PMEM)
}

// attach has the machine take the memory backend pmem for what it is.
func (p plan) attach() (option, value string) {
	if p.Driver == Direct {
		return "-device", fmt.Sprintf("nvdimm,id=nvdimm,memdev=pmem,label-size=%dM", labelMiB)
	}
	return "-numa", "node,nodeid=1,memdev=pmem"
}

// memmap is the kernel's argument for persistent memory that is no device.
func (p plan) memmap() string {
	if p.Driver == Direct {
		return ""
	}
	return fmt.Sprintf(" memmap=%dM!%dG", p.PMEM, pmemAddress)
}

// label is what makes a node one of the driver's. Volume groups are made by
// the driver, which then sets the other label itself.
func (d Driver) label() string {
	if d == Direct {
		return "storage=pmem"
	}
	return convertLabel + "=force"
}

// files are applied as the driver's release has them, but for the names of
// images.
func (d Driver) files() []string {
	return []string{
		"pmem-csi-" + string(d) + ".yaml",
		"pmem-storageclass-ext4.yaml",
		"pmem-storageclass-ext4-fileio.yaml",
		"pmem-storageclass-xfs.yaml",
		"pmem-storageclass-late-binding.yaml",
	}
}
