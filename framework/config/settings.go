package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"text/tabwriter"
	"time"
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
		if c.Cluster.KeepLab, err = strconv.ParseBool(v); err != nil {
			return errors.New("give 1 or 0")
		}
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
	{"EPHEMERAL", "ephemeral", "kustomization to examine as the ephemeral deployment (default: manifests/ephemeral)", func(c *Config, dir, v string) error {
		c.Deploy.Ephemeral = absolute(dir, v)
		return nil
	}},
	{"PERSISTENT", "persistent", "kustomization to examine as the persistent deployment (default: manifests/persistent)", func(c *Config, dir, v string) error {
		c.Deploy.Persistent = absolute(dir, v)
		return nil
	}},
	{"MEMCACHED_IMAGE", "memcached-image", "image that takes the place of every image called memcached", func(c *Config, _, v string) error {
		c.Deploy.MemcachedImage = v
		return nil
	}},
	{"REPORT_DIR", "report-dir", "directory for junit.xml, report.json and evidence/ (default: report)", func(c *Config, dir, v string) error {
		c.ReportDir = absolute(dir, v)
		return nil
	}},
	{"WAIT_SCALE", "wait-scale", "factor on the limit of every wait, for a slow cluster (default: 1)", setWaitScale},
	{"BENCH_DURATION", "bench-duration", "measured time of one benchmark (default: 5s)", setBenchDuration},
}

func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
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

func setWaitScale(c *Config, _, v string) error {
	scale, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsNaN(scale) || scale < 0.1 || scale > 100 {
		return errors.New("give a number from 0.1 to 100")
	}
	c.WaitScale = scale
	return nil
}

func setBenchDuration(c *Config, _, v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Second || d > 10*time.Minute {
		return errors.New("give a duration from 1s to 10m, such as 5s")
	}
	c.BenchDuration = d
	return nil
}

// Load makes the configuration from the defaults, the environment and args,
// the later ones winning. An empty variable counts as unset. Relative paths
// start at dir. The error is flag.ErrHelp when help was asked for.
func Load(args []string, getenv func(string) string, dir string) (Config, error) {
	c := Default(dir)
	var errs []error
	for _, s := range settings {
		if v := getenv(s.env); v != "" {
			if err := s.set(&c, dir, v); err != nil {
				errs = append(errs, &FieldError{Field: s.env, Value: v, Remedy: err.Error()})
			}
		}
	}
	flags := flag.NewFlagSet("e2e", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, s := range settings {
		flags.Func(s.flag, s.usage, func(v string) error {
			if err := s.set(&c, dir, v); err != nil {
				errs = append(errs, &FieldError{Field: "-" + s.flag, Value: v, Remedy: err.Error()})
			}
			return nil
		})
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return Config{}, flag.ErrHelp
	} else if err != nil {
		errs = append(errs, fmt.Errorf("%w; -help lists the flags", err))
	}
	for _, arg := range flags.Args() {
		errs = append(errs, fmt.Errorf("%q: no argument is expected beside flags; -help lists them", arg))
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

// Usage writes every setting with its variable, flag and meaning.
func Usage(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, s := range settings {
		fmt.Fprintf(table, "  %s\t-%s\t%s\n", s.env, s.flag, s.usage)
	}
	return table.Flush()
}
