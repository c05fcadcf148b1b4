package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/kind/trial"
	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/live"
	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/wait"
	"pmem-memcached-e2e/manifests"
)

// trialSpecs are those that a trial runs unless FOCUS, LABELS or WHOLE say otherwise: each mode, volumes, restarts,
// the driver, kustomizations and throughput.
var trialSpecs = []string{"EPH-01", "EPH-03", "EPH-25", "RST-01", "RST-14", "RST-45", "DRV-01", "DRV-11", "KUS-01", "THR-01"}

// trialVariables are passed on to the run in the machine.
var trialVariables = []string{"LABELS", "FOCUS", "SEED", "PARALLEL", "RETRIES", "BENCH", "BENCH_DURATION", "VERBOSE", "KEEP_CLUSTER"}

// emulatedScale is WAIT_SCALE where the machine's processors are emulated.
const emulatedScale = "4"

func newKindTest() *cobra.Command {
	return &cobra.Command{
		Use: "test", Short: "Run the suite on a kind cluster in a virtual machine", Args: cli.NoArguments,
		Long: `Run the release archive with PROVIDER=kind in a virtual machine that has persistent memory by
memmap=, docker, and neither a network nor a registry. The machine, the image of kind's nodes and
the images of pods are built first from this checkout and kept with the lab's parts. It must be a
checkout without changes, and takes root, 6 GiB of memory and 8 GiB below CACHE_DIR.

FOCUS or LABELS choose the specs, otherwise ten of all kinds run. WHOLE=1 runs all of them and ends
with a verdict. MUTANT names a deployment that is broken on purpose, and has its specs run. With
INTERRUPT=TEXT the run is interrupted as soon as a line of its output has the text, such as
"Joining worker nodes". Other variables are those of "e2e run": SEED, PARALLEL, RETRIES, BENCH,
EPHEMERAL, PERSISTENT, VERBOSE, LAB_ACCEL, CACHE_DIR, and WAIT_SCALE, by default ` + emulatedScale + ` where
processors are emulated. The report and what the run printed are put in REPORT_DIR/kind-test.

The exit code is that of the run, or 4 if the run left something on the machine.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runKindTest(cmd.Context()) },
	}
}

func runKindTest(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	h, err := findHome()
	if err != nil {
		return err
	}
	if h.checkout == "" {
		return errors.New("the machine is built from a checkout of this project; run the program there")
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.Flags(flags)
	// What does not concern the run in the machine alone is examined here.
	c, err := h.load(flags, os.Getenv)
	if err != nil {
		return err
	}
	dir := filepath.Join("/var/tmp", fmt.Sprintf("pmem-memcached-e2e-trial-%d", os.Getuid()))
	o := trial.Options{Interrupt: os.Getenv("INTERRUPT"), Report: filepath.Join(c.ReportDir, "kind-test"), Dir: dir}
	deployments := dir + "-files"
	defer os.RemoveAll(deployments)
	if err := chooseTrial(&o, c, h.checkout, deployments); err != nil {
		return err
	}
	if o.Release, err = unpackRelease(ctx, h.checkout); err != nil {
		return interrupted(ctx, err)
	}
	printer := live.New(os.Stdout, os.Getenv)
	defer printer.Close()
	opts, err := lab.Configured(c.Lab)
	if err != nil {
		return err
	}
	opts.SourceDir, opts.Progress = h.checkout, printer.Writer()
	l, err := lab.New(opts)
	if err != nil {
		return err
	}
	var result trial.Result
	err = l.WithKindParts(ctx, func(parts *artifact.KindParts, accelerator vm.Accelerator) error {
		scale := os.Getenv("WAIT_SCALE")
		if scale == "" && accelerator.Name == "tcg" {
			scale = emulatedScale
		}
		if scale != "" {
			o.Settings = append(o.Settings, "WAIT_SCALE="+scale)
		}
		o.Parts, o.Accelerator, o.Progress, o.Waiter = parts, accelerator, opts.Progress, wait.Waiter{Scale: c.WaitScale}
		var err error
		result, err = trial.Run(ctx, o)
		return err
	})
	if err != nil {
		return interrupted(ctx, err)
	}
	fmt.Fprintf(opts.Progress, "kind-test exit code of the run %d; report in %s\n", result.ExitCode, o.Report)
	for _, line := range result.Left {
		fmt.Fprintf(opts.Progress, "kind-test %s\n", line)
	}
	if len(result.Left) > 0 {
		return &cli.ExitError{Code: report.ExitLeaked, Err: fmt.Errorf("the run did not leave the machine as it was: %s", strings.Join(result.Left, "; "))}
	}
	fmt.Fprintln(opts.Progress, "kind-test the machine is as it was before the run")
	return cli.Exit(result.ExitCode)
}

// trialFiles are the directories of a checkout that deployments in it refer to.
var trialFiles = []string{"manifests", "e2e/testdata"}

// chooseTrial decides which specs run on which deployments. What the deployments consist of is written into dir.
func chooseTrial(o *trial.Options, c config.Config, checkout, dir string) error {
	for _, variable := range trialVariables {
		if value := os.Getenv(variable); value != "" {
			o.Settings = append(o.Settings, variable+"="+value)
		}
	}
	o.Deployments = map[string]string{}
	for variable, path := range map[string]string{"EPHEMERAL": c.Deploy.Ephemeral, "PERSISTENT": c.Deploy.Persistent} {
		if os.Getenv(variable) == "" {
			continue
		}
		rel, err := filepath.Rel(checkout, path)
		if err != nil || !slices.ContainsFunc(trialFiles, func(d string) bool { return strings.HasPrefix(rel, d+"/") }) {
			return &config.FieldError{Field: variable, Value: path, Remedy: "the machine gets " + strings.Join(trialFiles, " and ") + " of this checkout; give a directory below them"}
		}
		o.Deployments[variable] = rel
	}
	specs := trialSpecs
	var edited *mutant.Mutant
	if name := os.Getenv("MUTANT"); name != "" {
		m, err := mutantOfDeployment(name)
		if err != nil {
			return err
		}
		specs = m.Specs()
		o.Deployments[strings.ToUpper(string(m.Mode))] = m.Overlay
		if m.Overlay == "" {
			edited = &m
		}
	}
	whole, err := wholeTrial(os.Getenv("WHOLE"))
	if err != nil {
		return err
	}
	selecting := slices.DeleteFunc([]string{"FOCUS", "LABELS"}, func(variable string) bool { return os.Getenv(variable) == "" })
	switch {
	case whole && len(selecting) > 0:
		return &config.FieldError{Field: selecting[0], Value: os.Getenv(selecting[0]), Remedy: "WHOLE runs all specs; give one of the two"}
	case !whole && len(selecting) == 0:
		o.Settings = append(o.Settings, "FOCUS=^("+strings.Join(specs, "|")+")")
	}
	if len(o.Deployments) == 0 {
		return nil
	}
	o.Files = dir
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for _, tree := range trialFiles {
		if err := os.CopyFS(filepath.Join(dir, tree), os.DirFS(filepath.Join(checkout, tree))); err != nil {
			return fmt.Errorf("files of the deployments: %w", err)
		}
	}
	if edited != nil {
		written, err := edited.Edit.Write(manifests.FS, edited.Mode, filepath.Join(dir, "mutant"))
		if err != nil {
			return err
		}
		if o.Deployments[strings.ToUpper(string(edited.Mode))], err = filepath.Rel(dir, written); err != nil {
			return err
		}
	}
	return nil
}

// wholeTrial reports whether the value of WHOLE asks for all specs.
func wholeTrial(value string) (bool, error) {
	if value == "" {
		return false, nil
	}
	whole, err := strconv.ParseBool(value)
	if err != nil {
		return false, &config.FieldError{Field: "WHOLE", Value: value, Remedy: "give 1 to run all specs, or leave it out"}
	}
	return whole, nil
}

// mutantOfDeployment is the mutant of that name, which must be one of the deployment.
func mutantOfDeployment(name string) (mutant.Mutant, error) {
	declared, err := declaredMutants()
	if err != nil {
		return mutant.Mutant{}, err
	}
	m, err := findMutant(declared.Mutants, name)
	if err == nil && m.OnLab() {
		err = &config.FieldError{Field: "MUTANT", Value: name, Remedy: "it needs a memcached or a driver that lies, which only the lab has; choose another"}
	}
	return m, err
}

// unpackRelease makes the release archive for this machine's architecture and returns the directory with its files.
func unpackRelease(ctx context.Context, checkout string) (string, error) {
	out := filepath.Join(checkout, ".bin", "release")
	release := exec.CommandContext(ctx, filepath.Join(checkout, "hack/release.sh"), out, runtime.GOARCH)
	release.Stdout, release.Stderr = os.Stdout, os.Stderr
	if err := release.Run(); err != nil {
		return "", fmt.Errorf("make the release archive: %w", err)
	}
	name := "pmem-memcached-e2e-linux-" + runtime.GOARCH
	if err := os.RemoveAll(filepath.Join(out, name)); err != nil {
		return "", err
	}
	unpack := exec.CommandContext(ctx, "tar", "-C", out, "-xzf", filepath.Join(out, name+".tar.gz"))
	unpack.Stderr = os.Stderr
	if err := unpack.Run(); err != nil {
		return "", fmt.Errorf("unpack the release archive: %w", err)
	}
	return filepath.Join(out, name), nil
}
