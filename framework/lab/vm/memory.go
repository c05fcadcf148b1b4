package vm

import (
	"fmt"
	"os"
	"path/filepath"

	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
)

// PMEMFile returns the file that the node's persistent memory is.
func (m Machine) PMEMFile() string { return PMEMFile(m.Plan.Memory, m.Node) }

// PMEMFile returns the file with a node's persistent memory in a directory.
func PMEMFile(dir string, n topology.Node) string { return filepath.Join(dir, n.Name()+".pmem") }

// MainMemory is what the main memory of nodes is made of: files in a directory,
// or this host's memory if that is empty.
type MainMemory struct {
	Dir string
	// Private keeps what nodes write out of the files.
	Private bool
}

// File returns the file with a node's main memory.
func (m MainMemory) File(n topology.Node) string { return filepath.Join(m.Dir, n.Name()+".dram") }

func (m MainMemory) object(n topology.Node) string {
	if m.Dir == "" {
		return fmt.Sprintf("memory-backend-ram,id=dram,size=%dM", DRAM)
	}
	share := "on"
	if m.Private {
		share = "off"
	}
	return fmt.Sprintf("memory-backend-file,id=dram,size=%dM,share=%s,mem-path=%s", DRAM, share, m.File(n))
}

// MakeMemory makes the files that memory is in, which take no room until they
// are written to. Their directory must not be there.
func MakeMemory(p state.Plan, main MainMemory) error {
	if err := private.MakeDir(p.Memory); err != nil {
		return fmt.Errorf("memory of the nodes: %w", err)
	}
	for _, n := range p.All() {
		if err := makeSparse(PMEMFile(p.Memory, n), PMEMFileSize(p)); err != nil {
			return fmt.Errorf("persistent memory of %s: %w", n.Name(), err)
		}
		if main.Dir == "" {
			continue
		}
		if err := makeSparse(main.File(n), DRAM); err != nil {
			return fmt.Errorf("main memory of %s: %w", n.Name(), err)
		}
	}
	return nil
}

func makeSparse(path string, mib int) error {
	if err := private.WriteFile(path, nil); err != nil {
		return err
	}
	return os.Truncate(path, int64(mib)<<20)
}

// labelMiB is the part of an NVDIMM that holds its labels.
const labelMiB = 2

// PMEMFileSize is the size in MiB of the file that is a node's persistent
// memory.
func PMEMFileSize(p state.Plan) int {
	if p.Driver == pmemcsi.Direct {
		return p.PMEM + labelMiB
	}
	return p.PMEM
}

func machineType(p state.Plan) string {
	if p.Driver == pmemcsi.Direct {
		return "q35,nvdimm=on"
	}
	return "q35"
}

func memorySize(p state.Plan) string {
	if p.Driver == pmemcsi.Direct {
		// A device begins at a multiple of 1 GiB.
		return fmt.Sprintf("%dM,slots=1,maxmem=%dM", DRAM, DRAM+PMEMFileSize(p)+1024)
	}
	return fmt.Sprint(DRAM + p.PMEM)
}

// attachment has the machine take the memory backend pmem for what it is.
func attachment(p state.Plan) (option, value string) {
	if p.Driver == pmemcsi.Direct {
		return "-device", fmt.Sprintf("nvdimm,id=nvdimm,memdev=pmem,label-size=%dM", labelMiB)
	}
	return "-numa", "node,nodeid=1,memdev=pmem"
}

// memmap is the kernel's argument for persistent memory that is no device.
func memmap(p state.Plan) string {
	if p.Driver == pmemcsi.Direct {
		return ""
	}
	return fmt.Sprintf(" memmap=%dM!%dG", p.PMEM, pmemAddress)
}
