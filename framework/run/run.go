// Package run takes a configuration to a verdict: it checks everything that
// can be checked beforehand, brings the cluster up, runs the suite as a child
// process, and always takes down what it brought up.
package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// Provider has a cluster to run the specs on.
type Provider interface {
	// Up returns the path of a kubeconfig and the image that takes the place
	// of every image called memcached, if any.
	Up(ctx context.Context) (kubeconfig, memcachedImage string, err error)
	// Down removes what Up made, also when Up failed or was interrupted.
	Down(ctx context.Context) error
}

// Existing is a cluster that runs already and keeps running.
type Existing struct{ Kubeconfig, MemcachedImage string }

// Up implements Provider.
func (e Existing) Up(context.Context) (kubeconfig, memcachedImage string, err error) {
	return e.Kubeconfig, e.MemcachedImage, nil
}

// Down implements Provider.
func (e Existing) Down(context.Context) error { return nil }

// Runner is one run.
type Runner struct {
	Config         config.Config
	Provider       Provider
	Root           string // absolute directory of the module
	Signals        <-chan os.Signal
	Stdout, Stderr *os.File

	manifests   map[spec.Profile]*deploy.Manifest
	interrupted bool
}

// Limits at wait scale 1.
const (
	suiteLimit = 45 * time.Minute
	suiteGrace = 2 * time.Minute // the clean-up of one spec and of the suite
	downLimit  = 5 * time.Minute
)

// UsageError is about what the user gave or the machine lacks; the run ends
// with report.ExitUsage.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e *UsageError) Unwrap() error { return e.Err }

// Run returns the exit code, see package report. The verdict is the last line
// on Stdout, except after a usage error, which is told on Stderr.
func (r *Runner) Run(ctx context.Context) int {
	temp, err := os.MkdirTemp("", "pmem-memcached-e2e-")
	if err != nil {
		return r.conclude(report.Summary{}, fmt.Errorf("make a temporary directory: %w", err))
	}
	defer os.RemoveAll(temp)
	return r.conclude(r.run(ctx, temp))
}

func (r *Runner) conclude(sum report.Summary, err error) int {
	interrupted := r.interrupted || errors.Is(err, errInterrupted)
	if usage, ok := errors.AsType[*UsageError](err); ok && !interrupted {
		fmt.Fprintf(r.Stderr, "e2e: %v\n", usage)
		return report.ExitUsage
	}
	switch {
	case interrupted:
		if len(sum.Trouble) == 0 { // else the suite says it itself
			sum.Trouble = append(sum.Trouble, errInterrupted.Error())
		}
		if err != nil && err.Error() != errInterrupted.Error() {
			sum.Trouble = append(sum.Trouble, err.Error())
		}
	case err != nil:
		sum.Trouble = append(sum.Trouble, err.Error())
	}
	code := sum.Verdict().ExitCode()
	if err := sum.Write(r.Stdout, r.Config.ReportDir); err != nil {
		fmt.Fprintf(r.Stderr, "e2e: write the verdict: %v\n", err)
		code = report.ExitUndetermined
	}
	if interrupted {
		return report.ExitInterrupted
	}
	return code
}

func (r *Runner) say(topic, format string, args ...any) {
	fmt.Fprintf(r.Stdout, "%-8s %s\n", topic, fmt.Sprintf(format, args...))
}

func (r *Runner) run(parent context.Context, temp string) (report.Summary, error) {
	ctx, stop := untilSignal(parent, r.Signals)
	defer stop()
	if err := r.validate(ctx); err != nil {
		return report.Summary{}, err
	}
	start := time.Now()
	s, err := build(ctx, r.Root, temp)
	if err != nil {
		return report.Summary{}, err
	}
	if err := r.Config.WriteFile(s.config()); err != nil {
		return report.Summary{}, err
	}
	plan, err := s.plan(ctx, r.Config.Select)
	if err != nil {
		return report.Summary{}, err
	}
	if err := cleanReports(r.Config.ReportDir); err != nil {
		return report.Summary{}, &UsageError{fmt.Errorf("REPORT_DIR=%q: %w", r.Config.ReportDir, err)}
	}
	r.say("plan", "%d of %d specs · %s · %s · built in %s", len(plan.Selected), plan.Total,
		describe(r.Config.Select), r.Config.Cluster.Provider, time.Since(start).Round(100*time.Millisecond))

	sum, err := r.onCluster(ctx, stop, s, plan)
	return sum, errors.Join(err, r.down(parent))
}

// onCluster brings the cluster up and runs the suite. stop ends the watching
// for signals by ctx.
func (r *Runner) onCluster(ctx context.Context, stop func(), s suite, plan report.Plan) (report.Summary, error) {
	if err := ctx.Err(); err != nil {
		return report.Summary{}, context.Cause(ctx)
	}
	kubeconfig, image, err := r.Provider.Up(ctx)
	if err != nil {
		return report.Summary{}, r.because(ctx, "bring up the cluster", err)
	}
	r.Config.Cluster.Kubeconfig, r.Config.Deploy.MemcachedImage = kubeconfig, image
	if err := r.Config.WriteFile(s.config()); err != nil {
		return report.Summary{}, err
	}
	limited, cancel := context.WithTimeout(ctx, r.scaled(preflightLimit))
	defer cancel()
	c, err := cluster.Connect(limited, kubeconfig, r.Config.Cluster.Context)
	if err != nil {
		return report.Summary{}, r.because(ctx, "preflight", err)
	}
	if err := preflight(limited, c, r.planned(plan)); err != nil {
		return report.Summary{}, r.because(ctx, "preflight", err)
	}
	stop()

	limit := r.scaled(suiteLimit)
	cmd := s.command(r.Config, limit, r.Stdout, r.Stderr)
	code, err := supervise(cmd, r.Signals, patience{run: limit + suiteGrace, grace: r.scaled(suiteGrace)}, r.Stderr)
	sum, readErr := report.Read(filepath.Join(r.Config.ReportDir, jsonReport), plan)
	if readErr != nil {
		return sum, errors.Join(err, fmt.Errorf("the suite ended with exit code %d: %w", code, readErr))
	}
	if err == nil && code != 0 && sum.Verdict() == report.Conformant {
		err = fmt.Errorf("the suite ended with exit code %d although its report has no failure", code)
	}
	return sum, err
}

// because tells an interrupt from an error of its own.
func (r *Runner) because(ctx context.Context, attempted string, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errInterrupted) {
		return fmt.Errorf("%s: %w", attempted, cause)
	}
	return fmt.Errorf("%s: %w", attempted, err)
}

// down gives the provider its time even when signals come in.
func (r *Runner) down(parent context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(parent), r.scaled(downLimit))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.Provider.Down(ctx) }()
	for {
		select {
		case s := <-r.Signals:
			r.interrupted = true
			fmt.Fprintf(r.Stderr, "%v: the cluster is being removed, at most %s in all\n", s, r.scaled(downLimit))
		case err := <-done:
			if err != nil {
				return fmt.Errorf("take down the cluster: %w", err)
			}
			return nil
		}
	}
}

func (r *Runner) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * r.Config.WaitScale)
}

// validate refuses what cannot work, before anything is started.
func (r *Runner) validate(ctx context.Context) error {
	errs := []error{r.Config.Validate()}
	if _, err := types.ParseLabelFilter(r.Config.Select.Labels); err != nil {
		errs = append(errs, &config.FieldError{Field: "LABELS", Value: r.Config.Select.Labels,
			Remedy: "not a Ginkgo label filter; write one such as 'ephemeral && MUST'"})
	}
	if err := errors.Join(errs...); err != nil {
		return &UsageError{err}
	}
	r.manifests = map[spec.Profile]*deploy.Manifest{}
	for _, d := range []struct {
		field   string
		profile spec.Profile
		dir     string
	}{
		{"EPHEMERAL", spec.Ephemeral, r.Config.Deploy.Ephemeral},
		{"PERSISTENT", spec.Persistent, r.Config.Deploy.Persistent},
	} {
		m, err := deploy.Load(d.dir, deploy.Changes{})
		if err != nil {
			errs = append(errs, &config.FieldError{Field: d.field, Value: d.dir, Remedy: err.Error()})
		}
		r.manifests[d.profile] = m
	}
	if r.Config.Cluster.Provider == config.Existing {
		if _, err := cluster.Connect(ctx, r.Config.Cluster.Kubeconfig, r.Config.Cluster.Context); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			errs = append(errs, &config.FieldError{Field: "KUBECONFIG", Value: r.Config.Cluster.Kubeconfig, Remedy: err.Error()})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return &UsageError{err}
	}
	return nil
}

// planned are the manifests that the selected specs deploy.
func (r *Runner) planned(plan report.Plan) []*deploy.Manifest {
	var used []*deploy.Manifest
	for _, profile := range []spec.Profile{spec.Ephemeral, spec.Persistent} {
		if slices.ContainsFunc(plan.Selected, func(p report.Planned) bool { return slices.Contains(p.Labels, string(profile)) }) {
			used = append(used, r.manifests[profile])
		}
	}
	return used
}
