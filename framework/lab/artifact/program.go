package artifact

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Program is a third-party program, or one of the lab's own, that a Go module
// below hack/ pins.
type Program struct {
	// Module is the directory of the module below hack/, or of one of this
	// project's own packages.
	Module string
	// Sources are the directories of further packages of this project that go
	// into the program. It must need nothing else but the standard library.
	Sources []string
	// Packages maps the name of each executable to its package.
	Packages map[string]string
	// Version is what the program reports as its own.
	Version string
	// LDFlags are added to those that strip the executable; %s is Version.
	LDFlags []string
	// Tags are Go build tags.
	Tags string
	// Cgo says that the program needs a C compiler and C libraries.
	Cgo bool
	// Toolchain is the Go release to build with, empty for the current one.
	Toolchain string
	// Extra are files of a module that are kept next to the executable:
	// module path to file names relative to the module.
	Extra map[string][]string
}

// scratchDir is where a command that makes an artifact has its temporary files.
// It is in the artifact's directory while that one is made, and so never left.
const scratchDir = "scratch"

// artifact returns the artifact that holds the executables of p, which is
// built from the checkout at root.
func (p Program) artifact(root string) (Artifact, error) {
	dir := filepath.Join(root, "hack", p.Module)
	a := Artifact{Name: p.Module, Make: func(ctx context.Context, out string, log io.Writer) error {
		return p.build(ctx, dir, out, log)
	}}
	for _, tree := range append([]string{filepath.Join("hack", p.Module)}, p.Sources...) {
		if err := a.Key.AddTree(filepath.Join(root, tree)); err != nil {
			return a, fmt.Errorf("%s: %w", p.Module, err)
		}
	}
	a.Key.Add("build", fmt.Sprint(p), runtime.Version(), runtime.GOARCH)
	return a, nil
}

func (p Program) build(ctx context.Context, dir, out string, log io.Writer) error {
	// The compiler is quicker when it collects garbage less often.
	env := append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off", "GOGC=400")
	if p.Cgo {
		env = append(env, "CGO_ENABLED=1")
	}
	if p.Toolchain != "" {
		env = append(env, "GOTOOLCHAIN="+p.Toolchain)
	}
	ldflags := "-s -w"
	for _, f := range p.LDFlags {
		ldflags += " " + strings.ReplaceAll(f, "%s", p.Version)
	}
	for name, pkg := range p.Packages {
		args := []string{"build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", ldflags, "-o", filepath.Join(out, name)}
		if p.Tags != "" {
			args = append(args, "-tags", p.Tags)
		}
		if err := run(ctx, dir, filepath.Join(out, scratchDir), env, log, "go", append(args, pkg)...); err != nil {
			return err
		}
	}
	return p.copyExtra(ctx, dir, out, env, log)
}

// DriverRelease copies the YAML of PMEM-CSI's release into a directory. root is
// a checkout of this project, whose pin it is; its module is fetched if it is
// not there.
func DriverRelease(ctx context.Context, root, out string, log io.Writer) error {
	dir := filepath.Join(root, "hack", driver.Module)
	env := append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off", "GOTOOLCHAIN="+driver.Toolchain)
	for module := range driver.Extra {
		if err := fetchModule(ctx, module, dir, env, log); err != nil {
			return err
		}
	}
	return driver.copyExtra(ctx, dir, out, env, log)
}

// copyExtra copies the files of modules that belong to the program.
func (p Program) copyExtra(ctx context.Context, dir, out string, env []string, log io.Writer) error {
	for module, files := range p.Extra {
		src, err := locateModule(ctx, module, dir, env, log)
		if err != nil {
			return err
		}
		for _, f := range files {
			content, err := os.ReadFile(filepath.Join(src, f))
			if err != nil {
				return fmt.Errorf("module %s: %w", module, err)
			}
			if err := os.WriteFile(filepath.Join(out, filepath.Base(f)), content, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetchModule brings a module that the one in dir requires into Go's cache of modules, if it is not there.
func fetchModule(ctx context.Context, module, dir string, env []string, log io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", module)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("fetch the module %s: %w", module, err)
	}
	return nil
}

// locateModule returns the directory of such a module.
func locateModule(ctx context.Context, module, dir string, env []string, log io.Writer) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, env, log
	src, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("locate module %s: %w", module, err)
	}
	return strings.TrimSpace(string(src)), nil
}

// stopLimit is how long a command gets to clean up after an interrupt.
const stopLimit = 30 * time.Second

// run runs a command with its output in log and its temporary files in scratch.
func run(ctx context.Context, dir, scratch string, env []string, log io.Writer, name string, args ...string) error {
	return runAs(ctx, &syscall.SysProcAttr{Setpgid: true}, dir, scratch, env, log, name, args...)
}

// runMounting is run for a command that mounts filesystems: nobody else sees
// them, and they are gone with the command however it ends.
func runMounting(ctx context.Context, dir, scratch string, env []string, log io.Writer, name string, args ...string) error {
	return runAs(ctx, &syscall.SysProcAttr{Setpgid: true, Unshareflags: syscall.CLONE_NEWNS}, dir, scratch, env, log, name, args...)
}

func runAs(ctx context.Context, attr *syscall.SysProcAttr, dir, scratch string, env []string, log io.Writer, name string, args ...string) error {
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(env, "TMPDIR="+scratch), log, log
	cmd.SysProcAttr = attr
	// To the whole group, as from a terminal, so that the command removes what
	// it has made and does not wait for its children first.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = stopLimit
	fmt.Fprintln(log, "+", name, strings.Join(args, " "))
	err := cmd.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.RemoveAll(scratch)
}
