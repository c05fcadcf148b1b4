package pmem

import (
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/probe"
	"pmem-memcached-e2e/framework/probe/probetest"
)

// Lists of ndctl as they were published for machines of each kind.
const (
	// Four modules of 128 GB, interleaved.
	optane = `[{"provider":"ACPI.NFIT","dev":"ndbus0","dimms":[
		{"dev":"nmem1","id":"8089-a2-1941-0000062a","handle":16,"phys_id":18,"security":"disabled"},
		{"dev":"nmem3","id":"8089-a2-1941-00000673","handle":272,"phys_id":22,"security":"disabled"},
		{"dev":"nmem0","id":"8089-a2-1941-00000119","handle":1,"phys_id":17,"security":"disabled"},
		{"dev":"nmem2","id":"8089-a2-1941-0000020f","handle":257,"phys_id":21,"security":"disabled"}],
		"regions":[{"dev":"region0","size":541165879296,"available_size":0,"max_available_extent":0,"type":"pmem",
		"iset_id":1008740143054817416,"mappings":[{"dimm":"nmem3","offset":268435456,"length":135291469824,"position":3}],
		"persistence_domain":"memory_controller"}]}]`
	// Two devices of QEMU, -device nvdimm.
	nvdimm = `[{"provider":"ACPI.NFIT","dev":"ndbus0","dimms":[
		{"dev":"nmem1","id":"8680-57341200","handle":2,"phys_id":0},
		{"dev":"nmem0","id":"8680-56341200","handle":1,"phys_id":0}],
		"regions":[{"dev":"region1","size":10603200512,"available_size":10603200512,"type":"pmem","persistence_domain":"unknown"},
		{"dev":"region0","size":10603200512,"available_size":10603200512,"type":"pmem","persistence_domain":"unknown"}]}]`
	// memmap=2G!4G.
	e820 = `{"provider":"e820","dev":"ndbus0","regions":[{"dev":"region0","size":2147483648,"align":16777216,
		"available_size":0,"max_available_extent":0,"type":"pmem","persistence_domain":"unknown"}]}`
	// As ndctl-list(1) prints several buses: objects, no list.
	several = `{"provider":"nfit_test.1","dev":"ndbus2","regions":[{"dev":"region9","size":33554432,"type":"pmem"}]}
{"provider":"nfit_test.0","dev":"ndbus1"}
{"provider":"e820","dev":"ndbus0","regions":[{"dev":"region0","size":8589934592,"type":"pmem"}]}`
)

const (
	intelCPU = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz\nflags\t\t: fpu vme sse2 clflushopt clwb avx512f\nbugs\t\t: spectre_v1\n"
	guestCPU = "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz\nflags\t\t: fpu sse2 hypervisor lahf_lm clwb\n"
	tcgCPU   = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: QEMU TCG CPU version 2.5+\nflags\t\t: fpu de pse tsc msr hypervisor lahf_lm clflushopt clwb\n"
	q35      = "QEMU\nStandard PC (Q35 + ICH9, 2009)\n"
	bare     = "root=/dev/sda2 ro quiet"
	memmap   = `root=/dev/vda rw console=ttyS0 "memmap=2G!4G" loglevel=5`
)

// framed is what platformScript prints when every command ends well.
func framed(texts map[string]string) string {
	var b strings.Builder
	for _, part := range []string{PartProcessor, PartFirmware, PartCommandLine, PartClockSources, PartHypervisor, PartBuses, PartGroups, PartVersion} {
		b.WriteString("=== " + part + "\n" + texts[part] + "\n=== exit 0\n")
	}
	return b.String()
}

func printed(cpu, firmware, commandLine, clocks, hypervisor, buses string) string {
	return framed(map[string]string{
		PartProcessor: cpu, PartFirmware: firmware, PartCommandLine: commandLine + "\n", PartClockSources: clocks + "\n",
		PartHypervisor: hypervisor, PartBuses: buses, PartVersion: "v1.1.0\n",
		PartGroups: `{"report":[{"vg":[{"vg_name":"ndbus0region0fsdax", "vg_size":"2143289344B", "vg_free":"1933574144B"}]}]}`,
	})
}

func TestPlatform(t *testing.T) {
	for _, test := range []struct {
		name, text  string
		accelerator string
		emulation   Emulation
		what        string
	}{
		{"modules of a real machine", printed(intelCPU, "Intel Corporation\nS2600WFT\n", bare, "tsc hpet acpi_pm", "", optane),
			"none", Genuine, "4 modules: 8089-a2-1941-0000062a, 8089-a2-1941-00000673, 8089-a2-1941-00000119, 8089-a2-1941-0000020f"},
		{"NVDIMM of a KVM guest", printed(guestCPU, q35, bare, "kvm-clock tsc acpi_pm", "KVM\n", nvdimm),
			"KVM", Emulated, "a virtual NVDIMM of QEMU"},
		{"KVM guest whose messages are gone", printed(guestCPU, q35, bare, "kvm-clock tsc acpi_pm", "", nvdimm),
			"KVM", Emulated, "a virtual NVDIMM of QEMU"},
		{"memmap in a TCG guest", printed(tcgCPU, q35, memmap, "tsc hpet acpi_pm", "", e820),
			"TCG", Emulated, "main memory that the kernel reserves by memmap=2G!4G"},
		{"memmap on a real machine", printed(intelCPU, "Dell Inc.\nR740\n", memmap, "tsc", "", e820),
			"none", Emulated, "main memory that the kernel reserves by memmap=2G!4G"},
		{"e820 of a real machine", printed(intelCPU, "Dell Inc.\nR740\n", bare, "tsc", "", e820),
			"none", Undecided, "memory that the firmware calls persistent without telling of modules (e820)"},
		{"e820 of a guest", printed(guestCPU, "VMware, Inc.\nVMware7,1\n", bare, "tsc", "VMware\n", e820),
			"VMware", Emulated, "main memory of the virtual machine that its firmware calls persistent (e820)"},
		{"modules passed to a guest", printed(guestCPU, "VMware, Inc.\nVMware7,1\n", bare, "tsc", "VMware\n", optane),
			"VMware", Emulated, "a virtual NVDIMM of the hypervisor"},
		{"guest of an unknown hypervisor", printed(guestCPU, q35, bare, "tsc", "", nvdimm),
			"", Emulated, "a virtual NVDIMM of QEMU"},
		{"several buses, one without a region", printed(intelCPU, "Dell Inc.\nR740\n", bare, "tsc", "", several),
			"none", Emulated, "the kernel's test module nfit_test; memory that the firmware calls persistent without telling of modules (e820)"},
		{"virtio-pmem", printed(guestCPU, q35, bare, "kvm-clock", "KVM", strings.Replace(e820, "e820", "virtio-pmem", 1)),
			"KVM", Emulated, "a virtio-pmem device of the hypervisor"},
		{"bus of another kind", printed(intelCPU, "Dell Inc.\nR740\n", bare, "tsc", "", strings.Replace(e820, "e820", "CXL", 1)),
			"none", Undecided, "a bus of CXL without modules"},
		{"modules without a region", printed(intelCPU, "Dell Inc.\nR740\n", bare, "tsc", "", `[{"provider":"ACPI.NFIT","dev":"ndbus0","dimms":[{"dev":"nmem0","id":"8089-a2-1809-00000107"}]}]`),
			"none", Undecided, "the node has no region of persistent memory"},
		{"nothing", printed(intelCPU, "Dell Inc.\nR740\n", bare, "tsc", "", ""), "none", Undecided, "the node has no region of persistent memory"},
		{"processor unread", printed("", "Dell Inc.\nR740\n", bare, "tsc", "", optane), "", Undecided, "an NVDIMM; whether the machine is a virtual one could not be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := parsePlatform(test.text, "")
			if p.Accelerator != test.accelerator {
				t.Errorf("accelerator %q, want %q", p.Accelerator, test.accelerator)
			}
			if e, what := p.Emulation(); e != test.emulation || what != test.what {
				t.Errorf("emulation %s, %q; want %s, %q", e, what, test.emulation, test.what)
			}
			if p.Version != "v1.1.0" || len(p.Groups) != 1 || p.Groups[0].Free != 1933574144 {
				t.Errorf("version %q, groups %+v", p.Version, p.Groups)
			}
		})
	}
	p := parsePlatform(printed(intelCPU, "Intel Corporation\nS2600WFT\n", bare, "tsc", "", optane), "")
	if p.CPU != "Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz" || p.Machine != "Intel Corporation S2600WFT" || p.CommandLine != bare || len(p.Unread) > 0 {
		t.Errorf("%+v", p)
	}
	want := Region{Dev: "region0", Size: 541165879296, Type: "pmem"}
	if got := p.Buses[0].Regions[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("region %+v, want %+v", got, want)
	}
}

func TestPlatformUnread(t *testing.T) {
	stdout := printed(tcgCPU, "", memmap, "", "", "{")
	for part, exit := range map[string]string{PartGroups: "5", PartVersion: "127"} {
		before, after, _ := strings.Cut(stdout, "=== "+part+"\n")
		stdout = before + "=== " + part + "\n\n=== exit " + exit + after[strings.Index(after, "\n=== exit 0")+len("\n=== exit 0"):]
	}
	stderr := "=== " + PartGroups + "\n  Volume group \"x\" not found\n=== " + PartVersion + "\nsh: pmem-csi-driver: not found\n"
	p := parsePlatform(stdout, stderr)
	for part, want := range map[string]string{
		PartFirmware:     "the command printed nothing",
		PartClockSources: "the command printed nothing",
		PartBuses:        `output of ndctl "{": unexpected EOF`,
		PartGroups:       `exit code 5: Volume group "x" not found`,
		PartVersion:      "exit code 127: sh: pmem-csi-driver: not found",
	} {
		if err := p.Unread[part]; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", part, err, want)
		}
	}
	if e, what := p.Emulation(); e != Undecided || !strings.Contains(what, "output of ndctl") {
		t.Errorf("emulation %s, %s", e, what)
	}
	// A command that was cut short is reported for every part after it.
	if p := parsePlatform("=== "+PartProcessor+"\n"+tcgCPU, ""); p.Unread[PartProcessor] == nil || p.Unread[PartVersion] == nil || p.CPU != "" {
		t.Errorf("cut short: %+v", p)
	}
}

// TestPlatformOfThisMachine runs the real commands. Those that this machine
// lacks are reported, and nothing else fails because of them.
func TestPlatformOfThisMachine(t *testing.T) {
	d := &NodeDriver{Node: "node-1", Namespace: "n", Pod: "p", exec: probetest.Host{}}
	p, err := d.Platform(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p.Unread[PartCommandLine] != nil {
		t.Errorf("command line: %v", p.Unread[PartCommandLine])
	}
	if want, err := os.ReadFile("/proc/cmdline"); err != nil || p.CommandLine != strings.Join(strings.Fields(string(want)), " ") {
		t.Errorf("command line %q, want %q, %v", p.CommandLine, want, err)
	}
	want, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	if p.Unread[PartProcessor] == nil && !strings.Contains(string(want), p.CPU) {
		t.Errorf("processor %q is not in /proc/cpuinfo", p.CPU)
	}
	if err := p.Unread[PartVersion]; err == nil || !strings.Contains(err.Error(), "exit code 127") {
		t.Errorf("version of a driver that is not here: %q, %v", p.Version, err)
	}
}

type failing struct{}

func (failing) Exec(context.Context, string, string, string, ...string) (cluster.ExecResult, error) {
	return cluster.ExecResult{}, errors.New("unable to upgrade connection: Forbidden")
}

type ended struct{}

func (ended) Exec(context.Context, string, string, string, ...string) (cluster.ExecResult, error) {
	return cluster.ExecResult{ExitCode: 126, Stderr: "sh: permission denied"}, nil
}

func TestPlatformErrors(t *testing.T) {
	for _, test := range []struct {
		exec probe.Execer
		want string
	}{
		{failing{}, "node node-1: unable to upgrade connection: Forbidden"},
		{ended{}, `node node-1: "sh" in container pmem-driver of pod n/p ended with exit code 126: sh: permission denied`},
	} {
		d := &NodeDriver{Node: "node-1", Namespace: "n", Pod: "p", Container: NodeDriverContainer, exec: test.exec}
		if _, err := d.Platform(t.Context()); err == nil || err.Error() != test.want {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
}
