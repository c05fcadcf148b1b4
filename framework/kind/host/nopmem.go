package host

import (
	"errors"
	"fmt"
	"strings"

	"pmem-memcached-e2e/framework/kind/memmap"
)

// noRegion says how this machine gets persistent memory.
func (h Host) noRegion() *Problem {
	const none = "this machine has no persistent memory"
	given := strings.Join(memmap.Given(h.CommandLine), " ")
	switch {
	case h.Arch != "amd64":
		return &Problem{What: none, Remedy: "take a machine of the architecture amd64, whose kernels emulate it by memmap=; on " + h.Arch + " only firmware and hypervisors provide it"}
	case given != "" && h.RangesErr == nil && memmap.Legacy(h.Ranges):
		return &Problem{What: "the kernel has set memory aside by " + given + ", and made no region of it",
			Remedy: "sudo modprobe nd_e820 nd_pmem, which belong to the kernel's modules in /lib/modules/" + h.Kernel}
	case given != "" && h.RangesErr == nil:
		return &Problem{What: "the kernel was given " + given + ", and has set no memory aside",
			Remedy: "see whether /proc/iomem has main memory at that address: remove the argument, reboot, and run this again for one that fits"}
	case h.RangesErr != nil && errors.Is(h.RangesErr, memmap.ErrHidden):
		return &Problem{What: none, Remedy: "run this as root once, which prints the argument memmap=SIZE!START that fits this machine: the addresses in /proc/iomem are hidden from other users"}
	case h.RangesErr != nil:
		return &Problem{What: fmt.Sprintf("%s, and its memory map cannot be read (%v)", none, h.RangesErr), Remedy: "run this as root on the machine itself, not in a container"}
	}
	return h.proposal(none)
}

func (h Host) proposal(what string) *Problem {
	var argument memmap.Argument
	err := fmt.Errorf("%d MiB are available, of which the cluster needs %d MiB and its persistent memory %d MiB more",
		h.Memory>>20, clusterMemory>>20, minRegion>>20)
	for _, size := range proposed {
		if h.Memory < clusterMemory+size {
			continue
		}
		if argument, err = memmap.Propose(h.Ranges, size); err == nil {
			break
		}
	}
	if err != nil {
		return &Problem{What: fmt.Sprintf("%s, and none can be emulated in its main memory (%v)", what, err), Remedy: "take a machine with at least 8 GiB of memory, or PROVIDER=lab"}
	}
	return &Problem{What: what, Remedy: fmt.Sprintf("give the kernel the argument %v, which takes %d MiB of the main memory for it until it is removed", argument, argument.Size>>20),
		Steps: steps(argument.String())}
}

// steps tell how an argument gets to the kernel with each boot loader. A ! has
// a meaning in interactive shells only, within double quotes, too; a $, which
// memmap has for reserved memory and is not needed here, would need \\\$ in
// /etc/default/grub.
func steps(argument string) []string {
	return []string{
		"GRUB (Debian, Ubuntu): in /etc/default/grub add it within the quotes of GRUB_CMDLINE_LINUX, by an editor: " + `GRUB_CMDLINE_LINUX="... ` + argument + `"`,
		"    then: sudo update-grub && sudo reboot",
		"GRUB (Fedora, RHEL): sudo grubby --update-kernel=ALL --args='" + argument + "' && sudo reboot",
		"    Write it between single quotes in a shell, where \"!\" would call up an earlier command. In the file a \"!\" is an ordinary character;",
		"    a \"$\", as memmap=SIZE$START has it, would have to be \\\\\\$ there. It is another argument, which reserves memory and makes none persistent.",
		"systemd-boot: add it to the end of the line in /etc/kernel/cmdline, then: sudo kernel-install add \"$(uname -r)\" \"/boot/vmlinuz-$(uname -r)\" && sudo reboot",
		"    (Fedora: /lib/modules/$(uname -r)/vmlinuz)",
		"    without that file add it to the line that begins with options in the entry below loader/entries of the boot partition; nothing is quoted there",
		"check: after the reboot /proc/iomem has \"Persistent Memory (legacy)\" and ls /sys/bus/nd/devices has region0; then give KIND_PMEM=region0",
		"undo: remove the argument from the same place (Fedora: --remove-args='" + argument + "'), run the same command, and reboot; nothing else was changed",
	}
}
