package vm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/lab/state"
)

// Direct mode has a device with labels in addition to all of its persistent memory.
func TestDriverOfMachine(t *testing.T) {
	for driver, want := range map[pmemcsi.Mode][]string{
		pmemcsi.LVM:    {"-machine q35 ", "-m 4096 ", "size=1024M,share=on", "-numa node,nodeid=1,memdev=pmem", " memmap=1024M!5G"},
		pmemcsi.Direct: {"-machine q35,nvdimm=on ", "-m 3072M,slots=1,maxmem=5122M ", "size=1026M,share=on", "-device nvdimm,id=nvdimm,memdev=pmem,label-size=2M"},
	} {
		m := Machine{Node: 1, Plan: state.Plan{Nodes: 1, PMEM: 1024, Accel: "tcg", Driver: driver}}
		args := strings.Join(m.Command().Args, " ")
		for _, w := range want {
			if !strings.Contains(args, w) {
				t.Errorf("%s: %q is missing in %s", driver, w, args)
			}
		}
		if driver == pmemcsi.Direct && strings.Contains(args, "memmap") {
			t.Errorf("two kinds of persistent memory: %s", args)
		}
	}
}

func TestMainMemory(t *testing.T) {
	for _, c := range []struct {
		memory MainMemory
		want   string
	}{
		{MainMemory{}, "memory-backend-ram,id=dram,size=3072M"},
		{MainMemory{Dir: "/m"}, "memory-backend-file,id=dram,size=3072M,share=on,mem-path=/m/node2.dram"},
		{MainMemory{Dir: "/m", Private: true}, "memory-backend-file,id=dram,size=3072M,share=off,mem-path=/m/node2.dram"},
	} {
		if got := c.memory.object(2); got != c.want {
			t.Errorf("%+v: %s, want %s", c.memory, got, c.want)
		}
	}
}

func TestMakeMemory(t *testing.T) {
	p := state.Plan{Nodes: 2, PMEM: 512, Memory: filepath.Join(t.TempDir(), "memory")}
	if err := MakeMemory(p, MainMemory{Dir: p.Memory}); err != nil {
		t.Fatal(err)
	}
	for _, n := range p.All() {
		for path, want := range map[string]int64{PMEMFile(p.Memory, n): 512, (MainMemory{Dir: p.Memory}).File(n): DRAM} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Size() != want<<20 || info.Mode().Perm() != 0o600 {
				t.Errorf("%s has %d bytes and mode %o", path, info.Size(), info.Mode().Perm())
			}
		}
	}
	if err := MakeMemory(p, MainMemory{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a directory that somebody else may have made is taken: %v", err)
	}
}
