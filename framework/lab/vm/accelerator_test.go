package vm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/artifact"
)

// emulator returns a QEMU that is a script, which sees the processor as $cpu.
func emulator(t *testing.T, script string) artifact.QEMU {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "usr/lib64/ld-linux-x86-64.so.2")
	if err := os.MkdirAll(filepath.Dir(program), 0o700); err != nil {
		t.Fatal(err)
	}
	text := "#!/bin/sh\nfor cpu; do :; done\n" + script + "\n"
	if err := os.WriteFile(program, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return artifact.QEMU(dir)
}

func TestFirstThatBoots(t *testing.T) {
	const boots = "echo 'Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)'"
	const refused = "echo 'error: failed to set MSR 0x10a to 0x0' >&2; echo 'Assertion failed.' >&2; exit 134"
	for _, test := range []struct{ name, script, processor, why string }{
		{"an ordinary KVM", boots, "host", ""},
		{"a register that is refused", "case $cpu in host) " + refused + ";; *) " + boots + ";; esac", "host,arch-capabilities=off,pmu=off",
			"KVM is there, but a kernel does not boot with -cpu host: exit status 134: Assertion failed."},
		{"plain models only", "case $cpu in host*) " + refused + ";; *) " + boots + ";; esac", "qemu64", "; with -cpu host,arch-capabilities=off,pmu=off: exit"},
		{"an instruction that is not executed", "echo 'KVM internal error. Suberror: 1'; exec sleep 600", "", "; with -cpu qemu64: KVM internal error. Suberror: 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			processor, why := firstThatBoots(t.Context(), "/k", emulator(t, test.script))
			if processor != test.processor {
				t.Errorf("processor %q, want %q", processor, test.processor)
			}
			if got := fmt.Sprint(why); why == nil && test.why != "" || !strings.Contains(got, test.why) {
				t.Errorf("why %q, want %q in it", got, test.why)
			}
		})
	}
}

func TestFirstThatBootsEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if processor, why := firstThatBoots(ctx, "/k", emulator(t, "exec sleep 600")); processor != "" || why == nil {
		t.Errorf("got %q, %v", processor, why)
	}
}

func TestWithoutHardware(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"Intel", "processor\t: 0\nflags\t\t: fpu vmx sse\nvmx flags\t: ept\n", ""},
		{"AMD", "flags\t\t: fpu svm\n", ""},
		{"none", "processor\t: 0\nvmx flags\t: vmx\nflags\t\t: fpu svm_lock sse\n", "neither vmx nor svm"},
		{"no flags", "processor\t: 0\n", "neither vmx nor svm"},
	} {
		path := filepath.Join(t.TempDir(), "cpuinfo")
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := withoutHardware(path)
		if got := fmt.Sprint(err); (err == nil) != (test.want == "") || !strings.Contains(got, test.want) && err != nil {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestChooseRefuses(t *testing.T) {
	_, _, err := Choose(t.Context(), "warp", "/k", "/qemu")
	if err == nil || !strings.Contains(err.Error(), "LAB_ACCEL=warp") {
		t.Errorf("err = %v", err)
	}
}

func TestProcessorOfMachine(t *testing.T) {
	for _, test := range []struct{ accel, processor, want string }{
		{"kvm", "qemu64", "-accel kvm -cpu qemu64"},
		{"tcg", "", "-accel tcg,thread=multi,tb-size=512 -cpu max,"},
	} {
		if got := strings.Join(accelArguments(test.accel, test.processor), " "); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %s, want %s", test.accel, got, test.want)
		}
	}
}
