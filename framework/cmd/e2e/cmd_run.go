package main

import (
	"cmp"
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"pmem-memcached-e2e/e2e/testdata/mutants"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/run"
	"pmem-memcached-e2e/framework/spec"
)

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use: "run [--SETTING VALUE]...", Short: "Run the suite (the default)",
		Long: `Run the suite on the embedded lab, on a kind cluster, or on an existing one, and report the verdict.

Each setting is a variable or a flag, such as FOCUS=RST-01 or --focus RST-01;
"e2e help settings" lists them.`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSuite(cmd) },
	}
	settingFlags(cmd)
	return cmd
}

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use: "bench [--SETTING VALUE]...", Short: "Run the benchmarks instead of the other specs",
		Long: `Run the benchmarks, as "e2e run --bench 1" does. "e2e help settings" lists the settings.`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmd.Flags().Set("bench", "1"); err != nil {
				return err
			}
			return runSuite(cmd)
		},
	}
	settingFlags(cmd)
	return cmd
}

// smoke are the settings of a smoke test that the user may have set otherwise.
var smoke = []struct{ flag, variable, value string }{
	{"parallel", "PARALLEL", "2"}, {"lab-nodes", "LAB_NODES", "1"}, {"lab-snapshot", "LAB_SNAPSHOT", "1"},
}

func newSmoke() *cobra.Command {
	cmd := &cobra.Command{
		Use: "smoke [--SETTING VALUE]...", Short: "Try both modes in a short time",
		Long: `Walk through PMEM-CSI's documentation of memcached in both modes: deploy, store,
read, find the value in the memory file, restart warm, remove. It runs the specs
with the label smoke, two at the same time, on a lab with one node that starts
from a snapshot, or on an existing cluster. Its verdict is SELECTION PASSED at
best, which is none about conformance. "e2e help settings" lists the settings.`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags := cmd.Flags()
			for _, field := range []string{"LABELS", "FOCUS", "BENCH"} {
				if value := cmp.Or(flags.Lookup(strings.ToLower(field)).Value.String(), os.Getenv(field)); value != "" {
					return &config.FieldError{Field: field, Value: value, Remedy: `smoke selects the specs itself; leave it unset, or use "e2e run"`}
				}
			}
			for _, s := range smoke {
				if flags.Changed(s.flag) || os.Getenv(s.variable) != "" {
					continue
				}
				if err := flags.Set(s.flag, s.value); err != nil {
					return err
				}
			}
			if err := flags.Set("labels", spec.SmokeTag); err != nil {
				return err
			}
			return runSuite(cmd)
		},
	}
	settingFlags(cmd)
	return cmd
}

// settingsUsage leaves the flags out.
const settingsUsage = "Usage:\n  {{.UseLine}}\n"

// settingFlags gives cmd a flag for each setting. The help refers to them, since
// they fill more than a screen.
func settingFlags(cmd *cobra.Command) {
	config.Flags(cmd.Flags())
	cmd.DisableFlagsInUseLine = true
	cmd.SetUsageTemplate(settingsUsage)
}

func runSuite(cmd *cobra.Command) error {
	h, err := findHome()
	if err != nil {
		return err
	}
	c, err := h.load(cmd.Flags(), os.Getenv)
	if err != nil {
		return err
	}
	if err := h.checkLoadClients(c.Cluster.Provider); err != nil {
		return err
	}
	proof, err := mutants.Proof()
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	lock, secrets := "", &redact.Redactor{}
	var provider run.Provider = existing(c)
	if c.Cluster.Provider == config.Lab {
		l, err := newLab(c, h.checkout, secrets)
		if err != nil {
			return err
		}
		provider, lock = l, l.lock()
	}
	if c.Cluster.Provider == config.Kind {
		k, err := newKind(cmd.Context(), c, h)
		if err != nil {
			return err
		}
		provider, lock = k, k.lock()
	}
	r := run.Runner{
		Config: c, Provider: provider, Root: h.dir, Version: version(), Proof: &proof,
		Suite: run.Suite{List: framework.List, Args: []string{specsCommand}, LoadClient: h.loadClient()}, Lock: lock,
		Signals: signals, Getenv: os.Getenv, Stdout: os.Stdout, Stderr: os.Stderr, Secrets: secrets,
	}
	return cli.Exit(r.Run(context.WithoutCancel(cmd.Context())))
}
