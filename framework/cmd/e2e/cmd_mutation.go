package main

import (
	"cmp"
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
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pmem-memcached-e2e/e2e/testdata/mutants"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/mutation"
	"pmem-memcached-e2e/framework/nearest"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/manifests"
)

// canary is a mutant that a spec of half a minute kills.
const canary = "no-memory-file"

func newMutation() *cobra.Command {
	list := false
	cmd := &cobra.Command{
		Use: "mutation [--SETTING VALUE]...", Short: "Run the specs on deployments that are broken on purpose", Args: cli.NoArguments,
		Long: `Run the specs on mutants, deployments with one change each, on one lab or cluster. The specs have
to reject those that violate a requirement, and name it, and to accept the others, which run
in batches of many changes at once. MUTANT names those that run, separated by commas; SAMPLE=10
chooses that many at random by SEED; without both all of them run, those first that say most
about what is not known yet. PARALLEL=2 runs two at the same time, and after LIMIT=30m none is
begun. Each is a variable or a flag, such as --sample 10, as are the settings of "e2e run".
--list lists the mutants.

REPORT_DIR/mutation gets the results as YAML, Markdown and a page. Results that are there already
are kept unless the mutant or the program has changed. With RECORD=1 the checkout's
` + record + ` gets them, too, which keeps the results
of all versions; RECORDED=1 chooses among those alone whose result there is as it should be, and
took no more than 2 minutes; lies of the driver and of memcached are not among them. RECORDED=0
chooses those of which the record has no such result, or one on earlier manifests only.

Before a spec runs on a mutant, it has to pass on the manifests as they are: here, or in the main
job whose report of the same version and cluster is in REPORT_DIR. And before all others runs a
mutant that has to be killed. Otherwise the result is VOID.

Exit codes: 0 all are as they should be, 1 some are not, 2 VOID or undetermined, 3 usage or
configuration, 130 interrupted.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			declared, err := declaredMutants()
			if err != nil {
				return err
			}
			if list {
				return listMutants(cmd.OutOrStdout(), declared.Mutants)
			}
			return runMutation(cmd, declared)
		},
	}
	settingFlags(cmd)
	for _, flag := range []string{"mutant", "sample", "limit", "record", "recorded"} {
		cmd.Flags().String(flag, "", "as the variable "+strings.ToUpper(flag))
	}
	cmd.Flags().Lookup("record").NoOptDefVal = "1"
	cmd.Flags().BoolVar(&list, "list", false, "list the mutants")
	return cmd
}

// given reads the setting of a variable from its flag, or else from the environment.
func given(flags *pflag.FlagSet, getenv func(string) string) func(string) string {
	return func(variable string) string {
		if f := flags.Lookup(strings.ToLower(variable)); f != nil && f.Changed {
			return f.Value.String()
		}
		return getenv(variable)
	}
}

// record has the results of all builds, in a checkout.
const record = "e2e/testdata/mutants/mutation.yaml"

func declaredMutants() (mutation.Declared, error) {
	catalogue, err := spec.NewCatalogue(framework.Specs())
	if err != nil {
		return mutation.Declared{}, err
	}
	all, err := mutants.All(catalogue)
	if err != nil {
		return mutation.Declared{}, err
	}
	exempt, err := mutants.Exempt(catalogue, all)
	return mutation.Declared{Manifests: manifests.FS, Catalogue: catalogue, Mutants: all, Exempt: exempt}, err
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

func runMutation(cmd *cobra.Command, declared mutation.Declared) error {
	setting := given(cmd.Flags(), os.Getenv)
	for _, name := range []string{"EPHEMERAL", "PERSISTENT", "FOCUS", "LABELS", "BENCH"} {
		if value := setting(name); value != "" {
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
	declared.Checkout = h.checkout
	recorded, err := declared.ReadFile(filepath.Join(h.checkout, record))
	if err != nil {
		return err
	}
	chosen, err := chooseMutants(declared.Order(recorded), recorded, setting)
	if err != nil {
		return err
	}
	c, err := h.load(cmd.Flags(), os.Getenv)
	if err != nil {
		return err
	}
	if c.Cluster.Provider == config.Kind {
		return &config.FieldError{Field: "PROVIDER", Value: config.Kind, Remedy: "a kind cluster is made for one run; keep one with KEEP_CLUSTER=1 and set KUBECONFIG, or use the lab"}
	}
	if c.Cluster.Provider != config.Lab {
		if chosen, err = elsewhere(chosen, setting("MUTANT") != "", cmd.OutOrStdout()); err != nil {
			return err
		}
	}
	pace, err := paceOf(c, setting)
	if err != nil {
		return err
	}
	program, err := programDigest()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	cluster, err := bringUp(ctx, c, h, slices.ContainsFunc(chosen, mutant.Mutant.Lies))
	if err != nil {
		return err
	}
	if cluster.lab != nil {
		if err := roomFor(pace.Parallel, cluster.target.PMEM); err != nil {
			return errors.Join(err, cluster.down(context.WithoutCancel(ctx)))
		}
	}
	harness := mutation.Harness{
		Declared: declared, Dir: filepath.Join(c.ReportDir, "mutation"), Build: mutation.Build{Digest: program, Version: version()}, Canary: canary,
		Suite: cluster.suite, Progress: cmd.OutOrStdout(), Pace: pace,
	}
	if setting("RECORD") == "1" {
		harness.Record = filepath.Join(h.checkout, record)
	}
	if harness.Before, err = mainJob(c, cluster.target.Kubeconfig); err == nil && len(harness.Before.Specs) > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "baseline of the specs that have passed in %s\n", c.ReportDir)
	}
	var matrix mutation.Matrix
	if err == nil {
		matrix, err = harness.Run(ctx, chosen)
	}
	if err := errors.Join(err, cluster.down(context.WithoutCancel(ctx))); err != nil {
		return &cli.ExitError{Code: report.ExitUndetermined, Err: err}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "mutants  %s\nmutants  %s\n", matrix.Score(), filepath.Join(harness.Dir, "mutation.html"))
	if ctx.Err() != nil {
		return cli.Exit(report.ExitInterrupted)
	}
	return cli.Exit(matrix.ExitCode(chosen, !pace.Until.IsZero()))
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

// longest is how long a recorded mutant may have taken to be chosen again.
const longest = 2 * time.Minute

// chooseMutants takes MUTANT, or SAMPLE and SEED, or all. RECORDED leaves out those of which no good result is recorded,
// those that only a lab can run that is made for them, and those that take long; or it leaves out those of which one is.
func chooseMutants(all []mutant.Mutant, recorded mutation.Matrix, getenv func(string) string) ([]mutant.Mutant, error) {
	names, sample := getenv("MUTANT"), getenv("SAMPLE")
	if names != "" && sample != "" {
		return nil, &config.FieldError{Field: "SAMPLE", Value: sample, Remedy: "MUTANT names the mutants already; set one of the two"}
	}
	if names != "" {
		return named(all, names)
	}
	switch which := getenv("RECORDED"); which {
	case "":
	case "1":
		all = slices.DeleteFunc(slices.Clone(all), func(m mutant.Mutant) bool { return m.OnLab() || !recorded.Good(m.Name, longest) })
	case "0":
		all = slices.DeleteFunc(slices.Clone(all), func(m mutant.Mutant) bool { return recorded.Fresh(m.Name) })
	default:
		return nil, &config.FieldError{Field: "RECORDED", Value: which, Remedy: "set 1 for mutants that are on record, 0 for the others, or leave it unset for all"}
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
	slices.SortFunc(chosen, func(a, b mutant.Mutant) int { return strings.Compare(a.Name, b.Name) })
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen[:n], nil
}

func named(all []mutant.Mutant, names string) ([]mutant.Mutant, error) {
	var chosen []mutant.Mutant
	for name := range strings.SplitSeq(names, ",") {
		m, err := findMutant(all, name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, m)
	}
	return chosen, nil
}

// findMutant is the one that MUTANT names.
func findMutant(all []mutant.Mutant, name string) (mutant.Mutant, error) {
	var known []string
	for _, m := range all {
		if m.Name == name {
			return m, nil
		}
		known = append(known, m.Name)
	}
	remedy := "there is no such mutant; e2e mutation --list lists them"
	if best := nearest.To(name, known); best != "" {
		remedy = fmt.Sprintf("there is no such mutant; did you mean %s?", best)
	}
	return mutant.Mutant{}, &config.FieldError{Field: "MUTANT", Value: name, Remedy: remedy}
}

// roomFor refuses more mutants at the same time than a node with some MiB of persistent memory has room for.
func roomFor(parallel, pmem int) error {
	if room := pmem / config.LanePMEM; parallel > room {
		return &config.FieldError{Field: "PARALLEL", Value: fmt.Sprint(parallel),
			Remedy: fmt.Sprintf("each mutant needs %d MiB of persistent memory on a node, which has %d; set LAB_PMEM=%d, or PARALLEL=%d", config.LanePMEM, pmem, parallel*config.LanePMEM, max(room, 1))}
	}
	return nil
}

// paceOf takes PARALLEL, which LAB_PMEM bounds, and LIMIT.
func paceOf(c config.Config, getenv func(string) string) (mutation.Pace, error) {
	pace := mutation.Pace{Parallel: max(c.Parallel, 1)}
	if c.Cluster.Provider == config.Lab {
		if err := roomFor(pace.Parallel, cmp.Or(c.Lab.PMEM, config.DefaultLabPMEM)); err != nil {
			return pace, err
		}
	}
	if text := getenv("LIMIT"); text != "" {
		limit, err := time.ParseDuration(text)
		if err != nil || limit <= 0 {
			return pace, &config.FieldError{Field: "LIMIT", Value: text, Remedy: "set a time such as 8m, after which no mutant is begun"}
		}
		pace.Until = time.Now().Add(limit)
	}
	return pace, nil
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
