// Package trial runs the suite on a kind cluster in a virtual machine that has
// persistent memory and a container engine, but neither a registry nor a network, as
// a workstation behind an air gap has them. It finds out what the run leaves on the machine.
package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/lockfile"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/wait"
)

// What the machine has, in MiB: the kernel's and the cluster's main memory, and what of it is persistent.
const (
	memory = 8192
	pmem   = 2048
)

// Region is the machine's persistent memory.
const Region = "region0"

// Options say what is run.
type Options struct {
	Parts       *artifact.KindParts
	Accelerator vm.Accelerator
	// Release is the directory with the files of a release archive.
	Release string
	// Files is a directory with deployments, and Deployments are paths in it by the variable that names them
	// in the run, such as EPHEMERAL. Both are empty for those of the release.
	Files       string
	Deployments map[string]string
	// Settings are further variables of the run, such as FOCUS=RST-01.
	Settings []string
	// Interrupt has the run get SIGINT as soon as a line of its output contains this; empty: never.
	Interrupt string
	// Report is the directory for the run's report and log, which is replaced.
	Report string
	// Dir is the directory of the machine's files, which must not be anybody else's. What a
	// trial that was killed left in it is removed.
	Dir      string
	Progress progress.Writer
	Waiter   wait.Waiter
}

// Result is what was found.
type Result struct {
	// ExitCode is the run's own.
	ExitCode int
	// Interrupted says that the run was sent SIGINT.
	Interrupted bool
	// Left are containers, volumes, networks, images and the like that the run made and did not
	// remove, or removed and did not make.
	Left   []string
	Phases []Phase
}

// Phase is a part of the trial that has ended.
type Phase struct {
	Name string
	Took time.Duration
}

// Where the machine has what is brought into it.
const (
	media     = "/media/trial"
	reportDir = "/root/report"
)

// trial is one that is under way.
type trial struct {
	Options
	guest *vm.Booted
	found Result
}

// Run boots the machine, runs the suite in it, copies the report out, and removes the machine, also
// when ctx ends.
func Run(ctx context.Context, o Options) (result Result, err error) {
	lock, err := lockfile.Try(o.Dir+".lock", 0o600)
	if held, ok := errors.AsType[*lockfile.HeldError](err); ok {
		return Result{}, fmt.Errorf("another trial runs in %s: %w", o.Dir, held)
	}
	if err != nil {
		return Result{}, err
	}
	defer lock.Close()
	if err := os.RemoveAll(o.Dir); err != nil {
		return Result{}, fmt.Errorf("remove what an earlier trial left: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	t := &trial{Options: o}
	err = t.run(ctx)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return t.found, err
}

func (t *trial) run(ctx context.Context) error {
	if err := t.phase(ctx, "disk", t.makeDisk); err != nil {
		return err
	}
	defer func() {
		if t.guest != nil {
			_ = t.guest.Stop() // it is of no use any more, and its files are removed
		}
	}()
	if err := t.phase(ctx, "boot", t.boot); err != nil {
		return err
	}
	before, err := t.inventory(ctx)
	if err != nil {
		return err
	}
	err = t.phase(ctx, "run", t.runSuite)
	if ctx.Err() != nil {
		return err
	}
	copied := t.phase(ctx, "report", t.copyReport)
	after, inventoryErr := t.inventory(ctx)
	t.found.Left = differences(before, after)
	return errors.Join(err, copied, inventoryErr)
}

// phase does something and records how long it took.
func (t *trial) phase(ctx context.Context, name string, do func(context.Context) error) error {
	start := time.Now()
	t.Progress.Doing(func() string { return "kind-test " + name })
	defer t.Progress.Doing(nil)
	if err := do(ctx); err != nil {
		return fmt.Errorf("kind-test: %s: %w", name, err)
	}
	p := Phase{name, time.Since(start)}
	t.found.Phases = append(t.found.Phases, p)
	fmt.Fprintf(t.Progress, "kind-test %-8s %6.1fs\n", name, p.Took.Seconds())
	return nil
}

func (t *trial) boot(ctx context.Context) error {
	p := t.Parts
	guest := vm.Guest{Dir: t.Dir, QEMU: p.QEMU, Accelerator: t.Accelerator, Kernel: p.Kernel, InitRD: p.InitRD, Disk: p.Disk, Unit: "kind-host.target",
		Data: t.dataDisk(), Memory: memory, PMEM: pmem, Waiter: t.Waiter}
	var err error
	if t.guest, err = guest.Start(ctx); err != nil {
		return err
	}
	return t.guest.Await(ctx, "docker version")
}

// listing are the commands that list what a run might leave, each line with what it is.
const listing = `docker ps --all --format 'container {{.Names}}'
docker volume ls --format 'volume {{.Name}}'
docker network ls --format 'network {{.Name}}'
docker image ls --all --format 'image {{.Repository}}:{{.Tag}} {{.ID}}'
echo "namespace $(ndctl list --namespaces --idle | tr -d '[:space:]')"
vgs --noheadings --options vg_name | sed 's/^ */volume group /'
wipefs --noheadings --output TYPE /dev/pmem0 | sed 's/^/content of pmem0: /'
find /var/tmp -type f ! -name '*.lock' | sed 's/^/file /'
`

// inventory returns what the machine has of what a run might leave.
func (t *trial) inventory(ctx context.Context) ([]string, error) {
	out, err := t.output(ctx, "set -e -o pipefail; export LVM_SUPPRESS_FD_WARNINGS=1\n"+listing)
	if err != nil {
		return nil, fmt.Errorf("list what the machine has: %w", err)
	}
	var lines []string
	for line := range strings.Lines(out) {
		if line = oneline.Words(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// differences are the lines that only one of two inventories has.
func differences(before, after []string) []string {
	count := map[string]int{}
	for _, line := range before {
		count[line]--
	}
	for _, line := range after {
		count[line]++
	}
	var found []string
	for _, line := range after {
		if count[line] > 0 {
			found = append(found, "left: "+line)
			count[line]--
		}
	}
	for _, line := range before {
		if count[line] < 0 {
			found = append(found, "missing: "+line)
			count[line]++
		}
	}
	return found
}

func (t *trial) dataDisk() string { return filepath.Join(t.Dir, "trial.raw") }
