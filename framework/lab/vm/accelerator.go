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

// kvmProcessors are the processors that nodes can have with KVM, the best first.
// KVM in a virtual machine, or an old one, can refuse registers of the host's
// processor, and QEMU aborts then; a plain model needs none of them.
var kvmProcessors = []string{"host", "host,arch-capabilities=off,pmu=off", "qemu64"}

// Accelerator is what runs the instructions of nodes.
type Accelerator struct {
	Name      string // kvm or tcg
	Processor string // the nodes' processor, as QEMU names it; empty with tcg
}

// Choose returns what runs nodes. Unless it is wanted, KVM is taken only if a kernel
// really boots with it: /dev/kvm can be there and be of no use. Then why explains what is
// wrong with KVM. With KVM why explains what is wrong with the processors that are better
// than the one that the nodes have.
func Choose(ctx context.Context, want, kernel string, qemu artifact.QEMU) (a Accelerator, why, err error) {
	a = Accelerator{Name: "tcg"}
	switch want {
	case "tcg":
		return a, nil, nil
	case "", "auto", "kvm":
	default:
		return Accelerator{}, nil, fmt.Errorf("LAB_ACCEL=%s: want kvm, tcg or auto", want)
	}
	if want != "kvm" {
		if why := withoutHardware("/proc/cpuinfo"); why != nil {
			return a, why, nil
		}
	}
	processor, why := probeKVM(ctx, kernel, qemu)
	switch {
	case ctx.Err() != nil:
		return Accelerator{}, nil, ctx.Err()
	case processor != "":
		return Accelerator{Name: "kvm", Processor: processor}, why, nil
	case want == "kvm":
		return Accelerator{}, nil, fmt.Errorf("LAB_ACCEL=kvm: %w", why)
	}
	return a, why, nil
}

// withoutHardware returns an error if the processor does not support virtual machines.
// A KVM without that interprets what a kernel does, takes seconds to get to an
// instruction that it does not know, and ends there.
func withoutHardware(cpuinfo string) error {
	text, err := os.ReadFile(cpuinfo)
	if err != nil {
		return fmt.Errorf("no KVM: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		name, flags, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) != "flags" {
			continue
		}
		for flag := range strings.FieldsSeq(flags) {
			if flag == "vmx" || flag == "svm" {
				return nil
			}
		}
		break
	}
	return fmt.Errorf("no KVM: the processor has neither vmx nor svm in %s; in a virtual machine its host has to allow nested virtualization", cpuinfo)
}

const (
	// bootMark is what a kernel without a root filesystem says when all of it
	// has come up.
	bootMark = "Unable to mount root fs"
	// stopMark is what QEMU says of an instruction that KVM cannot execute. The
	// machine does not end by that.
	stopMark = "KVM internal error"
)

// probeKVM returns the first of the processors with which a kernel boots; why
// says what is wrong with those before it.
func probeKVM(ctx context.Context, kernel string, qemu artifact.QEMU) (processor string, why error) {
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if errors.Is(err, fs.ErrPermission) {
		return "", fmt.Errorf("no KVM: %w; who is in its group may use it", err)
	}
	if err != nil {
		return "", fmt.Errorf("no KVM: %w", err)
	}
	kvm.Close()
	return firstThatBoots(ctx, kernel, qemu)
}

func firstThatBoots(ctx context.Context, kernel string, qemu artifact.QEMU) (processor string, why error) {
	for _, processor := range kvmProcessors {
		err := bootWithKVM(ctx, kernel, qemu, processor)
		switch {
		case err == nil:
			return processor, why
		case why == nil:
			why = fmt.Errorf("KVM is there, but a kernel does not boot with -cpu %s: %w", processor, err)
		default:
			why = fmt.Errorf("%w; with -cpu %s: %w", why, processor, err)
		}
	}
	return "", why
}

func bootWithKVM(ctx context.Context, kernel string, qemu artifact.QEMU, processor string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, kvmLimit, fmt.Errorf("it did not in %s", kvmLimit))
	defer cancel()
	args := append([]string{"-machine", "q35", "-nodefaults", "-no-user-config", "-display", "none", "-m", "256", "-no-reboot",
		"-kernel", kernel, "-append", "console=ttyS0 panic=-1", "-serial", "stdio"}, accelArguments("kvm", processor)...)
	cmd := within(ctx, qemu.Command(args...))
	cmd.Env = process.Inherited()
	out := &watched{marks: []string{bootMark, stopMark}, seen: cancel}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	switch text := out.text.String(); {
	case strings.Contains(text, bootMark):
		return nil
	case strings.Contains(text, stopMark):
		return errors.New(firstLine(text[strings.Index(text, stopMark):]))
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return fmt.Errorf("%w: %s", err, lastLine(text))
	}
}

// watched keeps what is written and reports the first of its marks.
type watched struct {
	text  bytes.Buffer
	marks []string
	seen  func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.text.Write(p)
	for _, mark := range w.marks {
		if bytes.Contains(w.text.Bytes(), []byte(mark)) {
			w.seen()
		}
	}
	return len(p), nil
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

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(line)
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndex(text, "\n")+1:]
}

func accelArguments(accel, processor string) []string {
	if accel == "kvm" {
		return []string{"-accel", "kvm", "-cpu", processor}
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
