package vm

import (
	"slices"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/artifact"
)

// A guest has persistent memory where memmap= puts it, which is above 4 GiB and within its memory, and no network.
func TestGuestCommand(t *testing.T) {
	g := Guest{Dir: "/var/tmp/g", QEMU: artifact.QEMU("/q"), Accelerator: Accelerator{Name: "tcg"}, Kernel: "/k", InitRD: "/i", Unit: "u.target", Data: "/d", Memory: 8192, PMEM: 2048}
	args := g.Command().Args
	text := strings.Join(args, " ")
	for _, want := range []string{" memmap=2048M!4G", "systemd.unit=u.target", "-m 8192", "file=/var/tmp/g/disk.qcow2", "readonly=on,file=/d", "path=/var/tmp/g/shell1.sock", "file:/var/tmp/g/console.log"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if slices.Contains(args, "-netdev") {
		t.Errorf("the guest has a network: %s", text)
	}
}
