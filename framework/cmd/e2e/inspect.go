package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/run"
	"pmem-memcached-e2e/framework/wait"
)

// inspector is the runner of a command that runs no spec and starts no lab.
func inspector(cmd *cobra.Command) (*run.Runner, error) {
	h, err := findHome()
	if err != nil {
		return nil, err
	}
	c, err := h.load(cmd.Flags(), os.Getenv)
	if err != nil {
		return nil, err
	}
	return &run.Runner{
		Config: c, Provider: existing(c), Root: h.dir, Version: version(), Suite: run.Suite{List: framework.List},
		Getenv: os.Getenv, Stdout: os.Stdout, Stderr: os.Stderr, Secrets: &redact.Redactor{},
	}, nil
}

func existing(c config.Config) run.Existing {
	return run.Existing{Kubeconfig: c.Cluster.Kubeconfig, MemcachedImage: c.Deploy.MemcachedImage, OtherImage: c.Deploy.OtherImage}
}

// inspected is what a command finds out about the cluster of its settings.
func inspected(cmd *cobra.Command, withChecks bool) (run.Inspection, error) {
	r, err := inspector(cmd)
	if err != nil {
		return run.Inspection{}, err
	}
	return inspect(cmd.Context(), r, withChecks)
}

// inspect asks the cluster, which may be a lab that is up, until a signal.
func inspect(ctx context.Context, r *run.Runner, withChecks bool) (run.Inspection, error) {
	if r.Config.Cluster.Provider == config.Lab {
		l, err := newLab(r.Config, "", r.Secrets)
		if err != nil {
			return run.Inspection{}, err
		}
		r.Provider = runningLab{l}
	}
	if r.Config.Cluster.Provider == config.Kind {
		r.Provider = runningKind{kindDirectory(r.Config)}
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	found, err := r.Inspect(ctx, withChecks)
	return found, interrupted(ctx, err)
}

// interrupted gives an error its exit code if ctx has ended.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &cli.ExitError{Code: report.ExitInterrupted, Err: errors.New("interrupted")}
	}
	return err
}

// runningLab is a lab that is neither started nor removed.
type runningLab struct{ *labProvider }

// Up implements run.Provider.
func (p runningLab) Up(ctx context.Context, _ progress.Writer, _ func(wait.Record)) (run.Target, error) {
	if err := p.lab.Status(ctx).Err(); err != nil {
		return run.Target{}, &run.UsageError{Err: errors.New(err.Error() + "; bring it up with make lab-up or e2e lab up, or give --kubeconfig")}
	}
	return p.target(ctx)
}

// Down implements run.Provider.
func (p runningLab) Down(context.Context, progress.Writer) error { return nil }
