package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pmem-memcached-e2e/e2e/testdata/mutants"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/mutation"
	"pmem-memcached-e2e/framework/nearest"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/run"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
	"pmem-memcached-e2e/manifests"
)

// canary is a mutant that a spec of half a minute kills.
const canary = "no-memory-file"

func newMutation() *cobra.Command {
	list := false
	cmd := &cobra.Command{
		Use: "mutation", Short: "Run the specs on deployments that are broken on purpose", Args: cli.NoArguments,
		Long: `Run the specs on mutants, deployments with one change each, on one lab or cluster. The specs have
to reject those that violate a requirement, and name it, and to accept the others. MUTANT names
those that run, separated by commas; SAMPLE=10 chooses that many at random by SEED; without both
all of them run. The variables of the cluster and the lab are those of "e2e run".

REPORT_DIR/mutation gets the results as YAML, Markdown and a page. Results that are there already
are kept unless the mutant or the program has changed. Before the mutants, the specs run on the
manifests as they are, which have to pass, and on a mutant that they have to reject; otherwise the
result is VOID.

Exit codes: 0 all are as they should be, 1 some are not, 2 VOID or undetermined, 3 usage or
configuration, 130 interrupted.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, catalogue, err := declaredMutants()
			if err != nil {
				return err
			}
			if list {
				return listMutants(cmd.OutOrStdout(), all)
			}
			return runMutation(cmd, all, catalogue)
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "list the mutants")
	return cmd
}

func declaredMutants() ([]mutant.Mutant, spec.Catalogue, error) {
	catalogue, err := spec.NewCatalogue(framework.Specs())
	if err != nil {
		return nil, spec.Catalogue{}, err
	}
	all, err := mutants.All(catalogue)
	return all, catalogue, err
}

func listMutants(w io.Writer, all []mutant.Mutant) error {
	rows := [][]string{{"MUTANT", "SPECS", "VIOLATES", "CHANGED"}}
	for _, m := range all {
		violates := "nothing"
		if m.Equivalent == "" {
			violates = joined(m.Violates())
		}
		rows = append(rows, []string{m.Name, strings.Join(m.Specs(), ","), violates, m.Changed()})
	}
	return writeTable(w, rows)
}

func runMutation(cmd *cobra.Command, all []mutant.Mutant, catalogue spec.Catalogue) error {
	chosen, err := chooseMutants(all, os.Getenv)
	if err != nil {
		return err
	}
	for _, name := range []string{"EPHEMERAL", "PERSISTENT", "FOCUS", "LABELS", "BENCH"} {
		if value := os.Getenv(name); value != "" {
			return &config.FieldError{Field: name, Value: value, Remedy: "each mutant decides it; leave it unset, and select by MUTANT or SAMPLE"}
		}
	}
	h, err := findHome()
	if err != nil {
		return err
	}
	if h.checkout == "" {
		return errors.New("mutants are overlays in a checkout of this project; run the program there")
	}
	flags := pflag.NewFlagSet("mutation", pflag.ContinueOnError)
	config.Flags(flags)
	c, err := h.load(flags, os.Getenv)
	if err != nil {
		return err
	}
	if c.Cluster.Provider == config.Kind {
		return &config.FieldError{Field: "PROVIDER", Value: config.Kind, Remedy: "a kind cluster is made for one run; keep one with KEEP_CLUSTER=1 and set KUBECONFIG, or use the lab"}
	}
	if c.Cluster.Provider != config.Lab {
		if chosen, err = elsewhere(chosen, os.Getenv("MUTANT") != "", cmd.OutOrStdout()); err != nil {
			return err
		}
	}
	program, err := programDigest()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	down, err := bringUp(ctx, c, h, slices.ContainsFunc(chosen, mutant.Mutant.Lies))
	if err != nil {
		return err
	}
	dir := filepath.Join(c.ReportDir, "mutation")
	matrix, err := mutation.Harness{
		Manifests: manifests.FS, Checkout: h.checkout, Dir: dir, Program: program, Catalogue: catalogue, Mutants: all, Canary: canary,
		Suite: mutatedSuite, Progress: cmd.OutOrStdout(),
	}.Run(ctx, chosen)
	if err := errors.Join(err, down(context.WithoutCancel(ctx))); err != nil {
		return &cli.ExitError{Code: report.ExitUndetermined, Err: err}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "mutants  %s\nmutants  %s\n", matrix.Score(), filepath.Join(dir, "mutation.html"))
	if ctx.Err() != nil {
		return cli.Exit(report.ExitInterrupted)
	}
	return cli.Exit(matrix.ExitCode(chosen))
}

// elsewhere leaves out the mutants that only a lab can run, or refuses those that are named.
func elsewhere(chosen []mutant.Mutant, named bool, w io.Writer) ([]mutant.Mutant, error) {
	rest := slices.DeleteFunc(slices.Clone(chosen), mutant.Mutant.OnLab)
	if left := len(chosen) - len(rest); left > 0 && !named {
		fmt.Fprintf(w, "mutants  %d are left out, in which the driver or memcached lies: only the lab can run them\n", left)
	} else if left > 0 {
		i := slices.IndexFunc(chosen, mutant.Mutant.OnLab)
		return nil, &config.FieldError{Field: "MUTANT", Value: chosen[i].Name, Remedy: "the driver or memcached lies in it, and only the lab can run it; leave PROVIDER and KUBECONFIG unset"}
	}
	return rest, nil
}

// chooseMutants takes MUTANT, or SAMPLE and SEED, or all.
func chooseMutants(all []mutant.Mutant, getenv func(string) string) ([]mutant.Mutant, error) {
	names, sample := getenv("MUTANT"), getenv("SAMPLE")
	if names != "" && sample != "" {
		return nil, &config.FieldError{Field: "SAMPLE", Value: sample, Remedy: "MUTANT names the mutants already; set one of the two"}
	}
	if names != "" {
		var chosen []mutant.Mutant
		for name := range strings.SplitSeq(names, ",") {
			i := slices.IndexFunc(all, func(m mutant.Mutant) bool { return m.Name == name })
			if i < 0 {
				var known []string
				for _, m := range all {
					known = append(known, m.Name)
				}
				return nil, &config.FieldError{Field: "MUTANT", Value: name, Remedy: fmt.Sprintf("there is no such mutant; did you mean %s?", nearest.To(name, known))}
			}
			chosen = append(chosen, all[i])
		}
		return chosen, nil
	}
	if sample == "" {
		return all, nil
	}
	n, err := strconv.Atoi(sample)
	if err != nil || n < 1 || n > len(all) {
		return nil, &config.FieldError{Field: "SAMPLE", Value: sample, Remedy: fmt.Sprintf("set a number from 1 to %d, how many there are", len(all))}
	}
	seed := rand.Uint64()
	if text := getenv("SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, &config.FieldError{Field: "SEED", Value: text, Remedy: "set a positive whole number"}
		}
	} else {
		fmt.Printf("mutants  SEED=%d\n", seed)
	}
	chosen := slices.Clone(all)
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen[:n], nil
}

// bringUp has a lab run all the time, so that each run of the suite finds it up, with a memcached that lies if one is
// needed. An existing cluster is up.
func bringUp(ctx context.Context, c config.Config, h home, lies bool) (down func(context.Context) error, err error) {
	if c.Cluster.Provider != config.Lab {
		return func(context.Context) error { return nil }, nil
	}
	l, err := newLab(c, h.checkout, &redact.Redactor{})
	if err == nil && lies {
		if c.Lab.Images, err = l.lab.LyingImage(ctx, artifact.LyingMemcached); err == nil {
			l, err = newLab(c, h.checkout, &redact.Redactor{})
		}
	}
	if err != nil {
		return nil, err
	}
	down = func(ctx context.Context) error { return l.Down(ctx, progress.Lines(os.Stdout)) }
	if _, err := l.Up(ctx, progress.Lines(os.Stdout), func(wait.Record) {}); err != nil {
		return nil, errors.Join(err, down(context.WithoutCancel(ctx)))
	}
	return down, nil
}

// programDigest is that of the file that runs.
func programDigest() (string, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", fmt.Errorf("read this program: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("read this program: %w", err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))[:16], nil
}

// mutatedSuite runs the main job with some deployments. What it prints goes into a file next to its report.
func mutatedSuite(ctx context.Context, r mutation.Run) (err error) {
	if err := os.MkdirAll(filepath.Dir(r.Report), 0o755); err != nil {
		return err
	}
	log, err := os.Create(r.Report + ".log")
	if err != nil {
		return err
	}
	defer log.Close()
	if r.Driver != "" {
		defer func() { err = errors.Join(err, lieOfDriver(context.WithoutCancel(ctx), log, "real")) }()
		if err := lieOfDriver(ctx, log, r.Driver); err != nil {
			return err
		}
	}
	exit, err := runSelf(ctx, log, log, []string{"run"}, "REPORT_DIR="+r.Report, "FOCUS="+r.Focus,
		"EPHEMERAL="+r.Deployments[spec.Ephemeral], "PERSISTENT="+r.Deployments[spec.Persistent])
	if err == nil && exit == run.ExitUsage {
		err = fmt.Errorf("the suite refused to run, see %s", log.Name())
	}
	return err
}

// lieOfDriver has the lab's driver lie, or no longer.
func lieOfDriver(ctx context.Context, log *os.File, lie string) error {
	exit, err := runSelf(ctx, log, log, []string{"lab", "driver", lie})
	if err == nil && exit != 0 {
		err = fmt.Errorf("e2e lab driver %s has failed, see %s", lie, log.Name())
	}
	return err
}

// runSelf runs this program in a process of its own, with some variables more, and returns its exit code.
func runSelf(ctx context.Context, stdout, stderr *os.File, args []string, variables ...string) (int, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), variables...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	// Its own group, so that an interrupt from the terminal reaches it
	// once only. It has a report to write and a lab to remove before it ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return 0, fmt.Errorf("run the suite: %w", err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 0, fmt.Errorf("the suite was ended by %s", status.Signal())
	}
	return cmd.ProcessState.ExitCode(), nil
}
