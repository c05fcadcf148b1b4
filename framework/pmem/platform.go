package pmem

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/probe"
)

// Parts of a Platform, in addition to PartGroups.
const (
	PartProcessor    = "processor"
	PartFirmware     = "firmware"
	PartCommandLine  = "kernel command line"
	PartClockSources = "clock sources"
	PartHypervisor   = "kernel messages"
	PartBuses        = "buses"
	PartVersion      = "driver version"
)

// Accelerators that are not the name of a hypervisor.
const (
	NoAccelerator = "none" // a real machine
	TCG           = "TCG"  // QEMU translates every instruction
	KVM           = "KVM"
)

// A Platform is what a node says about its machine, its persistent memory and its driver. What could
// not be read is in Unread, by its part.
type Platform struct {
	CPU         string // model
	Virtual     bool   // the processor's flags say that it is a hypervisor's
	Machine     string // vendor and product by the firmware
	Accelerator string // TCG, NoAccelerator, or the hypervisor's name; empty if unknown
	CommandLine string // of the kernel
	Buses       []Bus
	Groups      []VolumeGroup // all, those of others included
	Version     string        // of the driver, by its program
	Unread      map[string]error
}

// A Bus connects persistent memory, ndctl-list(1).
type Bus struct {
	Provider string   `json:"provider"` // such as ACPI.NFIT, or e820
	Dev      string   `json:"dev"`
	DIMMs    []DIMM   `json:"dimms"`
	Regions  []Region `json:"regions"`
}

// A DIMM is a module of a bus.
type DIMM struct {
	Dev string `json:"dev"`
	ID  string `json:"id"` // vendor first, in hexadecimal; Intel's modules are 8089
}

// platformScript reads all parts in one go, because starting a process in a container is slow. The
// frames are those of inventoryScript. The first processor stands for all: some machines have hundreds.
const platformScript = `part() {
	echo "=== $1"
	echo "=== $1" >&2
	shift
	"$@"
	printf '\n=== exit %d\n' $?
}
hypervisor() {
	log=$(dmesg) || return
	printf '%s\n' "$log" | sed -n 's/.*Hypervisor detected: //p'
}
part '` + PartProcessor + `' sed '/^$/q' /proc/cpuinfo
part '` + PartFirmware + `' cat /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name
part '` + PartCommandLine + `' cat /proc/cmdline
part '` + PartClockSources + `' cat /sys/devices/system/clocksource/clocksource0/available_clocksource
part '` + PartHypervisor + `' hypervisor
part '` + PartBuses + `' ndctl list -BDRi
part '` + PartGroups + `' vgs --reportformat json -o ` + vgsFields + ` --units b
part '` + PartVersion + `' pmem-csi-driver -version
exit 0`

// Platform asks the node about its machine, with one command in the driver's container.
func (d *NodeDriver) Platform(ctx context.Context) (Platform, error) {
	result, err := d.exec.Exec(ctx, d.Namespace, d.Pod, d.Container, "sh", "-c", platformScript)
	if err != nil {
		return Platform{}, fmt.Errorf("node %s: %w", d.Node, err)
	}
	if result.ExitCode != 0 {
		return Platform{}, fmt.Errorf("node %s: %w", d.Node, probe.ExitError(d.Namespace, d.Pod, d.Container, []string{"sh"}, result))
	}
	return parsePlatform(result.Stdout, result.Stderr), nil
}

var (
	cpuModel    = regexp.MustCompile(`(?m)^model name\s*: (.*)$`)
	cpuVirtual  = regexp.MustCompile(`(?m)^flags\s*:.*\bhypervisor\b`)
	errNoModel  = errors.New("/proc/cpuinfo names no model")
	errNoAnswer = errors.New("the command printed nothing")
)

func parsePlatform(stdout, stderr string) Platform {
	p := Platform{Unread: map[string]error{}}
	texts, complaints := frames(stdout), frames(stderr)
	read := func(part string, parse func(text string) error) {
		text, err := content(texts[part], complaints[part])
		if err == nil {
			err = parse(text)
		}
		if err != nil {
			p.Unread[part] = err
		}
	}
	words := func(to *string) func(string) error {
		return func(text string) error {
			if *to = strings.Join(strings.Fields(text), " "); *to == "" {
				return errNoAnswer
			}
			return nil
		}
	}
	read(PartProcessor, func(text string) error {
		p.Virtual = cpuVirtual.MatchString(text)
		model := cpuModel.FindStringSubmatch(text)
		if model == nil {
			return errNoModel
		}
		p.CPU = strings.TrimSpace(model[1])
		return nil
	})
	read(PartFirmware, words(&p.Machine))
	read(PartCommandLine, words(&p.CommandLine))
	var clocks, hypervisor string
	read(PartClockSources, words(&clocks))
	read(PartHypervisor, func(text string) error {
		hypervisor = strings.TrimSpace(text)
		return nil
	})
	p.Accelerator = p.accelerator(clocks, hypervisor)
	read(PartBuses, func(text string) (err error) {
		p.Buses, err = parseBuses(text)
		return err
	})
	read(PartGroups, func(text string) (err error) {
		p.Groups, err = parseVGS([]byte(text))
		return err
	})
	read(PartVersion, words(&p.Version))
	return p
}

// accelerator decides by the model that QEMU invents under TCG, by what the kernel has detected, and
// by the clock that only guests of KVM have.
func (p Platform) accelerator(clocks, hypervisor string) string {
	switch {
	case strings.Contains(p.CPU, "TCG"):
		return TCG
	case hypervisor != "":
		return hypervisor
	case slices.Contains(strings.Fields(clocks), "kvm-clock"):
		return KVM
	case p.Virtual || p.Unread[PartProcessor] != nil:
		return ""
	}
	return NoAccelerator
}

// parseBuses reads what ndctl list -B prints: nothing, one list, or objects one after the other.
func parseBuses(text string) ([]Bus, error) {
	fail := func(err error) ([]Bus, error) { return nil, fmt.Errorf("output of ndctl %.200q: %w", text, err) }
	var buses []Bus
	for values := json.NewDecoder(strings.NewReader(text)); ; {
		var value json.RawMessage
		if err := values.Decode(&value); errors.Is(err, io.EOF) {
			return buses, nil
		} else if err != nil {
			return fail(err)
		}
		if !bytes.HasPrefix(value, []byte("[")) {
			value = slices.Concat([]byte("["), value, []byte("]"))
		}
		var list []Bus
		if err := json.Unmarshal(value, &list); err != nil {
			return fail(err)
		}
		buses = append(buses, list...)
	}
}

// Emulation says whether persistent memory is something else in reality.
type Emulation string

// Answers of [Platform.Emulation].
const (
	Emulated  Emulation = "yes"
	Genuine   Emulation = "no"
	Undecided Emulation = "unknown"
)

// Emulation reports what the node's persistent memory is, and whether that is an emulation. It is one
// as soon as a part of it is.
func (p Platform) Emulation() (e Emulation, what string) {
	if err := p.Unread[PartBuses]; err != nil {
		return Undecided, err.Error()
	}
	var parts []string
	for _, b := range p.Buses {
		if len(b.Regions) == 0 {
			continue
		}
		of, what := p.emulation(b)
		if e == "" || of == Emulated || e == Genuine {
			e = of
		}
		parts = append(parts, what)
	}
	if len(parts) == 0 {
		return Undecided, "the node has no region of persistent memory"
	}
	return e, strings.Join(slices.Compact(parts), "; ")
}

// qemuVendor begins the ids of the modules that QEMU makes, hw/acpi/nvdimm.c.
const qemuVendor = "8680-"

func (p Platform) emulation(b Bus) (Emulation, string) {
	ids := make([]string, len(b.DIMMs))
	for i, d := range b.DIMMs {
		ids[i] = d.ID
	}
	virtual := p.Virtual || strings.Contains(p.Machine, "QEMU")
	switch {
	case b.Provider == "e820" && reserved(p.CommandLine) != "":
		return Emulated, "main memory that the kernel reserves by " + reserved(p.CommandLine)
	case b.Provider == "e820" && virtual:
		return Emulated, "main memory of the virtual machine that its firmware calls persistent (e820)"
	case b.Provider == "e820":
		return Undecided, "memory that the firmware calls persistent without telling of modules (e820)"
	case strings.HasPrefix(b.Provider, "nfit_test"):
		return Emulated, "the kernel's test module nfit_test"
	case b.Provider == "virtio-pmem":
		return Emulated, "a virtio-pmem device of the hypervisor"
	case slices.ContainsFunc(ids, func(id string) bool { return strings.HasPrefix(id, qemuVendor) }):
		return Emulated, "a virtual NVDIMM of QEMU"
	case virtual:
		return Emulated, "a virtual NVDIMM of the hypervisor"
	case p.Unread[PartProcessor] != nil:
		return Undecided, "an NVDIMM; whether the machine is a virtual one could not be read"
	case len(ids) > 0:
		return Genuine, fmt.Sprintf("%d modules: %s", len(ids), strings.Join(ids, ", "))
	}
	return Undecided, fmt.Sprintf("a bus of %s without modules", b.Provider)
}

// reserved returns the parameters of the kernel that make main memory look like persistent memory:
// memmap=SIZE!START in kernel-parameters.txt of Linux.
func reserved(commandLine string) string {
	var found []string
	for word := range strings.FieldsSeq(commandLine) {
		if word = strings.Trim(word, `"`); strings.HasPrefix(word, "memmap=") && strings.Contains(word, "!") {
			found = append(found, word)
		}
	}
	return strings.Join(found, " ")
}
