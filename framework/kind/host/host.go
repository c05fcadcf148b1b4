// Package host finds out whether this machine can have a kind cluster with
// persistent memory: container engine, control groups, modules of the kernel,
// memory, and persistent memory that nobody else uses. What is missing is a
// problem with its remedy.
package host

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"pmem-memcached-e2e/framework/kind/memmap"
)

// Host is what this machine has, as far as it matters.
type Host struct {
	Arch        string
	Kernel      string // release
	CommandLine string
	CgroupV2    bool
	Modules     map[string]ModuleState
	Memory      uint64 // bytes that are available
	Ranges      []memmap.Range
	RangesErr   error // why there are no Ranges
	Regions     []Region
	Engine      Engine
}

// A Machine is where a host is read from.
type Machine struct {
	Files fs.FS // of the root directory
	Arch  string
	// LookPath finds a program, and Output runs one and returns what it prints.
	LookPath func(name string) (string, error)
	Output   func(ctx context.Context, name string, args ...string) (stdout, stderr string, err error)
}

// This is the machine that the program runs on.
func This() Machine {
	return Machine{Files: os.DirFS("/"), Arch: runtime.GOARCH, LookPath: exec.LookPath, Output: output}
}

func output(ctx context.Context, name string, args ...string) (stdout, stderr string, err error) {
	var out, complaint strings.Builder
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err = cmd.Run()
	return out.String(), complaint.String(), err
}

// Read finds out what the machine has. engine is docker, podman or nerdctl, or
// empty for the first of them that answers. It changes nothing.
func (m Machine) Read(ctx context.Context, engine string) (Host, error) {
	h := Host{Arch: m.Arch}
	var err error
	if h.Kernel, err = m.word("proc/sys/kernel/osrelease"); err != nil {
		return Host{}, err
	}
	if h.CommandLine, err = m.word("proc/cmdline"); err != nil {
		return Host{}, err
	}
	if h.Memory, err = m.memory(); err != nil {
		return Host{}, err
	}
	_, err = fs.Stat(m.Files, "sys/fs/cgroup/cgroup.controllers")
	h.CgroupV2 = err == nil
	h.Modules = m.modules(h.Kernel)
	if text, err := fs.ReadFile(m.Files, "proc/iomem"); err != nil {
		h.RangesErr = err
	} else {
		h.Ranges, h.RangesErr = memmap.Parse(string(text))
	}
	if h.Regions, err = m.regions(); err != nil {
		return Host{}, err
	}
	h.Engine = m.engine(ctx, engine)
	return h, nil
}

// word is the content of a file without white space around it.
func (m Machine) word(file string) (string, error) {
	text, err := fs.ReadFile(m.Files, file)
	if err != nil {
		return "", fmt.Errorf("read /%s: %w", file, err)
	}
	return strings.TrimSpace(string(text)), nil
}

func (m Machine) memory() (uint64, error) {
	text, err := m.word("proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read /proc/meminfo: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("read /proc/meminfo: it has no MemAvailable")
}
