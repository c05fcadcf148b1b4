package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/process"
)

// kvmLimit is how long a kernel gets to boot with KVM before emulation is
// preferred: with hardware that works it needs less than a second.
const kvmLimit = 15 * time.Second

// Accelerator returns what runs nodes, kvm or tcg. Unless one of them is
// wanted, it is KVM if a kernel really boots with it: /dev/kvm can be there and
// be of no use. Then why explains what is wrong with KVM.
func Accelerator(ctx context.Context, want, kernel string, qemu artifact.QEMU) (accel string, why, err error) {
	switch want {
	case "kvm", "tcg":
		return want, nil, nil
	case "", "auto":
	default:
		return "", nil, fmt.Errorf("LAB_ACCEL=%s: want kvm, tcg or auto", want)
	}
	if why := probeKVM(ctx, kernel, qemu); why != nil {
		return "tcg", why, ctx.Err()
	}
	return "kvm", nil, ctx.Err()
}

// bootMark is what a kernel without a root filesystem says when all of it has
// come up.
const bootMark = "Unable to mount root fs"

func probeKVM(ctx context.Context, kernel string, qemu artifact.QEMU) error {
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("no KVM: %w; who is in its group may use it", err)
	}
	if err != nil {
		return fmt.Errorf("no KVM: %w", err)
	}
	kvm.Close()
	ctx, cancel := context.WithTimeout(ctx, kvmLimit)
	defer cancel()
	args := append([]string{"-machine", "q35", "-nodefaults", "-no-user-config", "-display", "none", "-m", "256", "-no-reboot",
		"-kernel", kernel, "-append", "console=ttyS0 panic=-1", "-serial", "stdio"}, accelArguments("kvm")...)
	cmd := within(ctx, qemu.Command(args...))
	cmd.Env = process.Inherited()
	out, err := cmd.CombinedOutput()
	if bytes.Contains(out, []byte(bootMark)) {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("KVM is there, but a kernel did not boot with it in %s", kvmLimit)
	}
	return fmt.Errorf("KVM is there, but a kernel did not boot with it: %v: %s", err, lastLine(out))
}

// Version returns what QEMU reports as its version.
func Version(ctx context.Context, qemu artifact.QEMU) (string, error) {
	out, err := within(ctx, qemu.Command("--version")).Output()
	if err != nil {
		return "", fmt.Errorf("version of QEMU: %w", err)
	}
	return string(out), nil
}

// within has cmd, which was not started yet, end with ctx.
func within(ctx context.Context, cmd *exec.Cmd) *exec.Cmd {
	return exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

func accelArguments(accel string) []string {
	if accel == "kvm" {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	return []string{"-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max," + strings.Join(emulated, ",")}
}

// emulated are the features that an emulated processor is better without:
//   - a fifth level of page tables;
//   - carry-less multiplication and AES, which TLS and the kernel do quicker in
//     plain code, and only together, as the kernel's code for the one counts on the
//     other;
//   - string instructions for large copies, which are emulated byte by byte;
//   - wide registers, which each switch of a process has to save;
//   - protection of kernel and keys, which interrupts translated code;
//   - virtual machines in the virtual machine. Without them the processor would
//     not report its name and the size of its addresses unless asked to
//     (xlevel).
//
// A lab of one node comes up in five sixths of the time.
var emulated = []string{
	"la57=off", "pclmulqdq=off", "vpclmulqdq=off", "aes=off", "vaes=off", "erms=off",
	"smap=off", "smep=off", "umip=off", "pku=off", "x2apic=off", "svm=off", "xlevel=0x80000008",
	"fsrm=off", "avx=off", "avx2=off", "fma=off", "f16c=off",
}
