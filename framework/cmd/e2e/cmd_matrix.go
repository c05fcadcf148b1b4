package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/matrix"
	"pmem-memcached-e2e/framework/report"
)

// oneLab are the settings that make no sense with several labs.
var oneLab = []string{"PROVIDER", "KEEP_LAB"}

func newMatrix() *cobra.Command {
	return &cobra.Command{
		Use: "matrix", Short: "Run the suite on a lab of each combination of versions", Args: cli.NoArguments,
		Long: `Run the suite over the combinations that MATRIX selects, one lab after the other. MATRIX names
a set, single or pairwise, values that a combination must have, such as kernel=6.1, or both.
All other variables are those of "e2e run".`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runMatrix(cmd) },
	}
}

func runMatrix(cmd *cobra.Command) error {
	combinations, err := choose()
	if err != nil {
		return err
	}
	h, err := findHome()
	if err != nil {
		return err
	}
	flags := pflag.NewFlagSet("matrix", pflag.ContinueOnError)
	config.Flags(flags, config.Output)
	c, err := h.load(flags, os.Getenv)
	if err != nil {
		return err
	}
	dir := filepath.Join(c.ReportDir, "matrix")
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	rows, exit, err := matrix.Run(ctx, combinations, dir, suite, os.Stdout)
	if err == nil {
		err = matrix.Text(os.Stdout, rows)
	}
	if err != nil {
		return &cli.ExitError{Code: report.ExitUndetermined, Err: err}
	}
	fmt.Printf("matrix   %s\n", filepath.Join(dir, "matrix.md"))
	if ctx.Err() != nil {
		return cli.Exit(report.ExitInterrupted)
	}
	return cli.Exit(exit)
}

func choose() ([]matrix.Combination, error) {
	var errs []error
	for _, name := range append(matrix.Variables(), oneLab...) {
		if value := os.Getenv(name); value != "" {
			errs = append(errs, fmt.Errorf("%s=%q: the matrix decides it; leave it unset, and select by MATRIX", name, value))
		}
	}
	sets, err := matrix.Published()
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	return sets.Select(os.Getenv("MATRIX"))
}

// suite runs the main job with its own lab.
func suite(ctx context.Context, c matrix.Combination, dir string) (int, error) {
	variables := []string{"REPORT_DIR=" + dir}
	for name, value := range c.Environment() {
		if name != "LAB_PMEM" || os.Getenv(name) == "" {
			variables = append(variables, name+"="+value)
		}
	}
	return runSelf(ctx, os.Stdout, os.Stderr, []string{"run"}, variables...)
}
