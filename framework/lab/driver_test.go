package lab

import (
	"slices"
	"strings"
	"testing"
)

func TestParseDriver(t *testing.T) {
	for _, text := range []string{"", "lvm", "direct"} {
		if d, err := ParseDriver(text); err != nil || d != Driver(text) {
			t.Errorf("%q: %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"LVM", "ndctl", "fake"} {
		if _, err := ParseDriver(text); err == nil || !strings.Contains(err.Error(), "LAB_DRIVER=\""+text+"\"") || !strings.Contains(err.Error(), "[lvm direct]") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := New(Options{Driver: "fake"}); err == nil || !strings.Contains(err.Error(), "LAB_DRIVER") {
		t.Errorf("New: %v", err)
	}
}

// Direct mode has a device with labels beside all of its persistent memory.
func TestDriverOfMachine(t *testing.T) {
	for driver, want := range map[Driver][]string{
		LVM:    {"-machine q35 ", "-m 4096 ", "size=1024M,share=on", "-numa node,nodeid=1,memdev=pmem", " memmap=1024M!5G"},
		Direct: {"-machine q35,nvdimm=on ", "-m 3072M,slots=1,maxmem=5122M ", "size=1026M,share=on", "-device nvdimm,id=nvdimm,memdev=pmem,label-size=2M"},
	} {
		l := testLab(t)
		l.plan = plan{Nodes: 1, PMEM: 1024, Accel: "tcg", Driver: driver}
		args := strings.Join(l.qemu(1).Args, " ")
		for _, w := range want {
			if !strings.Contains(args, w) {
				t.Errorf("%s: %q is missing in %s", driver, w, args)
			}
		}
		if driver == Direct && strings.Contains(args, "memmap") {
			t.Errorf("two kinds of persistent memory: %s", args)
		}
		if !slices.Contains(driver.files(), "pmem-csi-"+string(driver)+".yaml") {
			t.Errorf("%s applies %q", driver, driver.files())
		}
	}
}
