package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"pmem-memcached-e2e/framework/wait"
)

// setting is one value that can be given by the environment or by a flag.
type setting struct {
	env, flag string
	usage     string
	set       func(c *Config, dir, value string) error // the error says what was wanted
}

var settings = []setting{
	{"PROVIDER", "provider", "where the specs run: lab, or existing (the default when KUBECONFIG is given)", setProvider},
	{"KUBECONFIG", "kubeconfig", "kubeconfig file of an existing cluster", func(c *Config, dir, v string) error {
		c.Cluster.Kubeconfig = absolute(dir, v)
		return nil
	}},
	{"KUBE_CONTEXT", "context", "context of that kubeconfig (default: its current one)", func(c *Config, _, v string) error {
		c.Cluster.Context = v
		return nil
	}},
	{"KEEP_LAB", "keep-lab", "1: leave the lab running at the end", func(c *Config, _, v string) (err error) {
		c.Cluster.KeepLab, err = yesOrNo(v)
		return err
	}},
	{"LAB_KUBERNETES", "lab-kubernetes", "Kubernetes of the lab, such as 1.37 (default: the newest that it has)", func(c *Config, _, v string) error {
		c.Cluster.LabKubernetes = v
		return nil
	}},
	{"LAB_MEMCACHED", "lab-memcached", "memcached of the lab, by its version or its suite of Debian; further ones after commas are images of the node, too (default: trixie)", func(c *Config, _, v string) error {
		c.Cluster.LabMemcached = v
		return nil
	}},
	{"LAB_KERNEL", "lab-kernel", "kernel of the lab's nodes, by its version or its suite of Debian, such as 6.1 (default: trixie's)", func(c *Config, _, v string) error {
		c.Cluster.LabKernel = v
		return nil
	}},
	{"LAB_DRIVER", "lab-driver", "mode of the lab's PMEM-CSI: lvm or direct (default: lvm)", func(c *Config, _, v string) error {
		c.Cluster.LabDriver = v
		return nil
	}},
	{"LABELS", "labels", "Ginkgo label filter, such as 'ephemeral && MUST' or RST-01 (default: all specs)", func(c *Config, _, v string) error {
		c.Select.Labels = v
		return nil
	}},
	{"FOCUS", "focus", "regular expression on a spec's id and title, such as RST-01", setFocus},
	{"SEED", "seed", "order of the specs as printed by an earlier run", func(c *Config, _, v string) (err error) {
		if c.Select.Seed, err = strconv.ParseInt(v, 10, 64); err != nil || c.Select.Seed <= 0 {
			return errors.New("give a positive whole number")
		}
		return nil
	}},
	{"EPHEMERAL", "ephemeral", "kustomization to examine as the ephemeral deployment (default: manifests/ephemeral)", setDir(func(c *Config) *string { return &c.Deploy.Ephemeral })},
	{"PERSISTENT", "persistent", "kustomization to examine as the persistent deployment (default: manifests/persistent)", setDir(func(c *Config) *string { return &c.Deploy.Persistent })},
	{"MEMCACHED_IMAGE", "memcached-image", "image that takes the place of every image called memcached", func(c *Config, _, v string) error {
		c.Deploy.MemcachedImage = v
		return nil
	}},
	{"OTHER_MEMCACHED_IMAGE", "other-memcached-image", "image with another release of memcached, for the specs of an update (default on the lab: the second of LAB_MEMCACHED)", func(c *Config, _, v string) error {
		c.Deploy.OtherImage = v
		return nil
	}},
	{"REPORT_DIR", "report-dir", "directory for index.html, report.yaml, junit.xml, summary.md and evidence/ (default: report)", setDir(func(c *Config) *string { return &c.ReportDir })},
	{"WAIT_SCALE", "wait-scale", "factor on the limits of waits, and others by name, such as 2 or 2,deployment-ready=3 (default: 1)", setWaitScale},
	{"QUALIFICATION", "qualification", "1: the report is to be signed; nothing may be left out or tried again", func(c *Config, _, v string) (err error) {
		c.Qualification, err = yesOrNo(v)
		return err
	}},
	{"RETRIES", "retries", "further attempts for a failing spec, 0 to 5; one that needs them is reported as flaky (default: 0)", setCount(func(c *Config) *int { return &c.Retries }, 0, 5)},
	{"KNOWN_FAILURES", "known-failures", "YAML file with failures that are accepted until a date", func(c *Config, dir, v string) error {
		c.KnownFailures = absolute(dir, v)
		return nil
	}},
	{"SKIP_PREFLIGHT", "skip-preflight", "checks before the run to leave out, separated by commas", func(c *Config, _, v string) error {
		c.SkipPreflight = strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' })
		return nil
	}},
	{"EXCLUSIVE", "exclusive", "1: nothing else uses the cluster, so that whatever is new after a spec was left by it (default: 1 for the lab)", func(c *Config, _, v string) error {
		exclusive, err := yesOrNo(v)
		if err == nil {
			c.Exclusive = &exclusive
		}
		return err
	}},
	{"DISRUPTIVE", "disruptive", "1: specs may cordon nodes and delete pods of the driver (default: 1 for the lab)", func(c *Config, _, v string) error {
		may, err := yesOrNo(v)
		if err == nil {
			c.Disruptive = &may
		}
		return err
	}},
	{"BENCH", "bench", "1: measure instead of examining conformance; the specs are those with the label benchmark", func(c *Config, _, v string) (err error) {
		c.Bench, err = yesOrNo(v)
		return err
	}},
	{"BASELINE", "baseline", "YAML file with ratios that benchmarks have to keep, for BENCH=1 or QUALIFICATION=1", func(c *Config, dir, v string) error {
		c.Baseline = absolute(dir, v)
		return nil
	}},
	{"BENCH_DURATION", "bench-duration", "measured time of one sample of a load, 1s to 10m (default: 2s, and 1s in runs without benchmarks)", setBenchDuration},
	{"BENCH_PAIRS", "bench-pairs", "pairs of samples of a comparison with DRAM, 6 to 100 (default: 6)", setCount(func(c *Config) *int { return &c.Sampling.Pairs }, 6, 100)},
	{"BENCH_CLIENTS", "bench-clients", "load clients of the benchmark with several, 2 to 64 (default: 4)", setCount(func(c *Config) *int { return &c.Sampling.Clients }, 2, 64)},
	{"BENCH_PLACEMENT", "bench-placement", "node of the load clients, seen from memcached's: any, same or another (default: any)", func(c *Config, _, v string) error {
		if v != "any" && v != "same" && v != "another" {
			return errors.New("give any, same or another")
		}
		c.Sampling.Place = v
		return nil
	}},
	{"VERBOSE", "verbose", "1: every step of a spec and every fact is printed", func(c *Config, _, v string) (err error) {
		c.Verbose, err = yesOrNo(v)
		return err
	}},
}

// absolute leaves an empty path empty: nothing is given.
func absolute(dir, path string) string {
	switch {
	case path == "":
		return ""
	case filepath.IsAbs(path):
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// setDir is for directories that nothing can do without.
func setDir(to func(*Config) *string) func(*Config, string, string) error {
	return func(c *Config, dir, v string) error {
		if v == "" {
			return errors.New("give a directory")
		}
		*to(c) = absolute(dir, v)
		return nil
	}
}

func setProvider(c *Config, _, v string) error {
	if v != Lab && v != Existing {
		return errors.New("unknown provider; give lab or existing")
	}
	c.Cluster.Provider = v
	return nil
}

func setFocus(c *Config, _, v string) error {
	if _, err := regexp.Compile(v); err != nil {
		return fmt.Errorf("%w; give a regular expression, such as RST-01", err)
	}
	c.Select.Focus = v
	return nil
}

func setWaitScale(c *Config, _, v string) (err error) {
	c.WaitScale, err = wait.ParseScale(v)
	return err
}

func yesOrNo(v string) (bool, error) {
	yes, err := strconv.ParseBool(v)
	if err != nil {
		return false, errors.New("give 1 or 0")
	}
	return yes, nil
}

// setCount is for whole numbers within bounds.
func setCount(to func(*Config) *int, least, most int) func(*Config, string, string) error {
	return func(c *Config, _, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("give a whole number from %d to %d", least, most)
		}
		*to(c) = n
		return nil
	}
}

func setBenchDuration(c *Config, _, v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Second || d > 10*time.Minute {
		return errors.New("give a duration from 1s to 10m, such as 5s")
	}
	c.Sampling.Duration = d
	return nil
}

// The file is read before all other settings.
const (
	fileEnv  = "CONFIG"
	fileFlag = "config-file"
	fileHelp = "YAML file with settings by the names of their flags; variables and flags override it"
)

// Load makes the configuration from the defaults, the file that CONFIG or
// -config-file names, the environment and args, the later ones winning. An
// empty variable counts as unset. Relative paths start at dir, those in the
// file at its directory. The error has all that was refused: each is a
// FieldError or a FileError, or says what is wrong with args. It is
// flag.ErrHelp when help was asked for.
func Load(args []string, getenv func(string) string, dir string) (Config, error) {
	c := Default(dir)
	given, errs := parseFlags(args)
	if slices.ContainsFunc(errs, func(err error) bool { return errors.Is(err, flag.ErrHelp) }) {
		return Config{}, flag.ErrHelp
	}

	source, file := fileEnv, getenv(fileEnv)
	for _, g := range given {
		if g.name == fileFlag {
			source, file = "-"+fileFlag, g.value
		}
	}
	if file != "" {
		errs = append(errs, c.readFile(source, absolute(dir, file)))
	}
	set := func(s setting, field, value string) {
		if err := s.set(&c, dir, value); err != nil {
			errs = append(errs, &FieldError{Field: field, Value: value, Remedy: oneLine(err)})
		}
	}
	for _, s := range settings {
		if v := getenv(s.env); v != "" {
			set(s, s.env, v)
		}
	}
	for _, g := range given {
		for _, s := range settings {
			if s.flag == g.name {
				set(s, "-"+g.name, g.value)
			}
		}
	}

	if c.Cluster.Provider == "" {
		c.Cluster.Provider = Lab
		if c.Cluster.Kubeconfig != "" {
			c.Cluster.Provider = Existing
		}
	}
	if c.Cluster.Provider == Lab {
		c.Cluster.Kubeconfig = "" // the lab makes its own
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, err
	}
	return c, nil
}

// flagValue is a flag as given.
type flagValue struct{ name, value string }

// parseFlags returns the flags in the order in which they are given, and what
// is wrong with args.
func parseFlags(args []string) (given []flagValue, errs []error) {
	flags := flag.NewFlagSet("e2e", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	note := func(name, usage string) {
		flags.Func(name, usage, func(v string) error {
			given = append(given, flagValue{name, v})
			return nil
		})
	}
	note(fileFlag, fileHelp)
	for _, s := range settings {
		note(s.flag, s.usage)
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil, []error{flag.ErrHelp}
	} else if err != nil {
		errs = append(errs, fmt.Errorf("%w; -help lists the flags", err))
	}
	for _, arg := range flags.Args() {
		errs = append(errs, fmt.Errorf("%q: no argument is expected beside flags; -help lists them", arg))
	}
	return given, errs
}

// Usage writes every setting with its variable, flag and meaning.
func Usage(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(table, "  %s\t-%s\t%s\n", fileEnv, fileFlag, fileHelp)
	for _, s := range settings {
		fmt.Fprintf(table, "  %s\t-%s\t%s\n", s.env, s.flag, s.usage)
	}
	return table.Flush()
}
