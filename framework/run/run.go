// Package run takes a configuration to a report and a verdict: it checks
// everything that can be checked beforehand, brings the cluster up, runs the
// suite as a child process, and always takes down what it brought up and
// writes what it knows.
package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/util/rand"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/live"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/report/userfile"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// ExitUsage is the exit code when the run could not be begun because of what
// the user gave or the machine lacks. The others are those of report.Verdict.
const ExitUsage = 3

// Target is a cluster that is up.
type Target struct {
	Kubeconfig     string
	MemcachedImage string        // replaces every image named memcached; empty: none
	OtherImage     string        // has another release of memcached; empty: there is none
	Facts          []report.Fact // what its provider knows of it
	Meter          Meter         // nil: its programs run elsewhere
	PMEM           int           // MiB of persistent memory of a node; 0: not known
}

// Meter measures what the programs of a cluster cost, for several runs at the same time.
type Meter interface {
	// Read returns the processor time by program since the cluster was up.
	Read() map[string]time.Duration
}

// Provider has a cluster to run the specs on.
type Provider interface {
	// Up reports progress to w, in whole lines, and its waits to observe.
	Up(ctx context.Context, w progress.Writer, observe func(wait.Record)) (Target, error)
	// Down removes what Up made, also when Up failed or was interrupted.
	Down(ctx context.Context, w progress.Writer) error
}

// Existing is a cluster that runs already and keeps running.
type Existing Target

// Up implements Provider.
func (e Existing) Up(context.Context, progress.Writer, func(wait.Record)) (Target, error) {
	return Target(e), nil
}

// Down implements Provider.
func (e Existing) Down(context.Context, progress.Writer) error { return nil }

// Runner is one run.
type Runner struct {
	Config         config.Config
	Provider       Provider
	Root           string // absolute directory that paths in the report start from
	Suite          Suite
	Lock           string      // path of a file that keeps other runs from the cluster; empty: others may use it
	Version        string      // of this project's source
	Proof          *spec.Proof // what is on record about the specs; nil: nothing
	Signals        <-chan os.Signal
	Getenv         func(string) string
	Stdout, Stderr *os.File
	Secrets        *redact.Redactor // removes secrets from what is recorded and printed; learns those of the run

	manifests   map[spec.Profile]*deploy.Manifest
	recorder    *report.Recorder // nil until the plan is known
	live        *live.Printer
	cluster     *cluster.Cluster // nil until it is connected
	usage       *usage           // nil: the programs of the cluster have no meter
	interrupted bool
}

// Limits at wait scale 1.
const (
	suiteLimit = 60 * time.Minute
	suiteGrace = 2 * time.Minute // the clean-up of one spec and of the suite
	downLimit  = 5 * time.Minute
)

// UsageError is about what the user gave or the machine lacks; the run ends
// with ExitUsage.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e *UsageError) Unwrap() error { return e.Err }

// Run returns the exit code. The verdict is the last line on Stdout, except
// after a usage error, which is printed on Stderr and leaves no report.
func (r *Runner) Run(ctx context.Context) int {
	if r.Secrets == nil {
		r.Secrets = &redact.Redactor{}
	}
	r.live = live.New(r.Stdout, r.Getenv)
	r.live.Verbose, r.live.ReportDir, r.live.Secrets = r.Config.Verbose, r.Config.ReportDir, r.Secrets
	r.live.Topic("cluster", r.Config.Where())
	defer r.live.Close()
	temp, err := os.MkdirTemp("", "pmem-memcached-e2e-")
	if err != nil {
		return r.refuse(fmt.Errorf("make a temporary directory: %w", err), report.ExitUndetermined)
	}
	defer os.RemoveAll(temp)

	release, err := r.claim()
	if err != nil {
		return r.refuse(err, ExitUsage)
	}
	defer release()
	err = r.run(ctx, temp)
	interrupted := r.interrupted || errors.Is(err, errInterrupted)
	if usage, ok := errors.AsType[*UsageError](err); ok && !interrupted {
		if err := cleanReports(r.Config.ReportDir); err != nil {
			return r.refuse(errors.Join(usage, err), ExitUsage)
		}
		return r.refuse(usage, ExitUsage)
	}
	if r.recorder == nil {
		if interrupted {
			return r.refuse(err, report.ExitInterrupted)
		}
		return r.refuse(err, report.ExitUndetermined)
	}
	r.recorder.Run(func(run *report.Run) { run.Interrupted = interrupted })
	if err != nil && !errors.Is(err, errInterrupted) {
		r.recorder.AddError(err.Error())
	}
	doc, err := r.write(time.Now())
	r.live.Verdict(doc, r.Config.ReportDir)
	if err != nil {
		return r.refuse(fmt.Errorf("write the report: %w", err), report.ExitUndetermined)
	}
	if path := r.Getenv("GITHUB_STEP_SUMMARY"); path != "" {
		if err := live.AppendSummary(path, r.path(summaryFile)); err != nil {
			return r.refuse(fmt.Errorf("write the job's summary: %w", err), report.ExitUndetermined)
		}
	}
	return doc.Verdict.ExitCode
}

func (r *Runner) refuse(err error, code int) int {
	fmt.Fprint(r.Stderr, r.Secrets.Text(fmt.Sprintf("e2e: %v\n", err)))
	return code
}

func (r *Runner) run(parent context.Context, temp string) error {
	ctx, stop := untilSignal(parent, r.Signals)
	defer stop()
	r.Config.LoadClient = r.Suite.LoadClient
	listing, err := r.validate(ctx)
	if err != nil {
		return err
	}
	if err := r.qualifies(r.planned(listing)); err != nil {
		return err
	}
	catalogue, err := spec.NewCatalogue(listing.Specs)
	if err != nil {
		return err
	}
	expected, err := readExpected(r.Config.Rules, catalogue)
	if err != nil {
		return &UsageError{err}
	}
	if err := r.begin(catalogue, listing, expected); err != nil {
		return err
	}
	return errors.Join(r.onCluster(ctx, stop, temp, listing), r.down(parent))
}

// expected is what the user has said about the outcome.
type expected struct {
	known    []report.KnownFailure
	baseline []report.BaselineEntry
}

func readExpected(rules config.Rules, catalogue spec.Catalogue) (e expected, err error) {
	var errs [2]error
	if path := rules.KnownFailures; path != "" {
		e.known, errs[0] = userfile.Known(path, time.Now(), catalogue)
	}
	if path := rules.Baseline; path != "" {
		e.baseline, errs[1] = userfile.Baseline(path)
	}
	return e, errors.Join(errs[:]...)
}

// begin leaves a report that says that the run has not ended, in case that it
// never does.
func (r *Runner) begin(catalogue spec.Catalogue, listing spec.Listing, e expected) error {
	start := time.Now()
	c := r.Config
	about := report.Run{
		ID: start.UTC().Format("20060102T150405Z") + "-" + rand.String(5), Version: r.Version, Started: start,
		Purpose: report.Conformance, Command: c.Command(""), Provider: c.Cluster.Provider, Qualification: c.Qualification,
		Selection: filter(c.Select), Seed: c.Select.Seed, WaitScale: c.WaitScale.String(), Retries: c.Retries,
		Deployments: map[string]string{},
	}
	if c.Bench {
		about.Purpose = report.Measuring
	}
	for profile, m := range r.manifests {
		about.Deployments[string(profile)] = r.relative(m.Dir)
	}
	about = redact.In(r.Secrets, about)
	unfinished := report.NewRecorder(about, catalogue)
	unfinished.Plan(r.plan(listing, nil))
	unfinished.Baseline(e.baseline)
	unfinished.AddError("the run has not ended: it is still running, or was killed")
	r.recorder = report.NewRecorder(about, catalogue)
	r.recorder.Secrets, unfinished.Secrets = r.Secrets, r.Secrets
	r.recorder.Known(e.known)
	r.recorder.Baseline(e.baseline)
	if !c.Bench {
		r.recorder.Mutation(r.Proof)
	}
	r.live.Requirements(catalogue.Requirements)
	return writeDocument(r.Config.ReportDir, unfinished.Finish(start, nil))
}

// onCluster brings the cluster up and runs the suite. stop ends the watching
// for signals by ctx.
func (r *Runner) onCluster(ctx context.Context, stop func(), temp string, listing spec.Listing) error {
	// Until the cluster is known every selected spec is to run.
	plan := r.plan(listing, nil)
	r.recorder.Plan(plan)
	r.live.Plan(plan)
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	target, err := r.Provider.Up(ctx, r.live.Writer(), r.observe)
	if err != nil {
		return r.because(ctx, "bring up the cluster", err)
	}
	r.use(target)
	r.Config.Events = eventsFile
	if plan, err = r.examine(ctx, listing, target.Facts); err != nil {
		return r.because(ctx, "preflight", err)
	}
	stop()
	return r.metered(target.Meter, func() error { return r.runSuite(temp, plan, r.Config.AtOnce(target.PMEM)) })
}

func (r *Runner) plan(listing spec.Listing, features map[spec.Feature]spec.Support) []spec.Planned {
	return spec.Plan(listing.Specs, skips(r.Config, listing), features)
}

func runnable(plan []spec.Planned) bool {
	for _, p := range plan {
		if p.Outcome == "" {
			return true
		}
	}
	return false
}

func (r *Runner) observe(w wait.Record) {
	r.recorder.Record(report.Event{Time: time.Now(), Kind: report.WaitEnded, Wait: &w})
}

// because distinguishes an interrupt from another error.
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
	go func() { done <- r.Provider.Down(ctx, r.live.Writer()) }()
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
	return time.Duration(float64(d) * r.Config.WaitScale.Max())
}

// validate refuses what cannot work, before anything is started, and returns
// the specs.
func (r *Runner) validate(ctx context.Context) (spec.Listing, error) {
	part := r.live.Begin("validate", "settings")
	defer part.End()
	errs := []error{r.Config.Validate()}
	listing, err := r.Suite.list(r.Config)
	if _, usage := errors.AsType[*UsageError](err); err != nil && !usage {
		return spec.Listing{}, err
	}
	errs = append(errs, err, validateSkips(r.Config.SkipPreflight))
	if err := errors.Join(errs...); err != nil {
		return spec.Listing{}, &UsageError{err}
	}
	r.manifests = map[spec.Profile]*deploy.Manifest{}
	for _, k := range kustomizations {
		dir := k.dir(r.Config.Deploy)
		part.Now(r.relative(dir))
		m, err := deploy.Load(dir, deploy.Changes{LoadAnyFile: r.Config.Deploy.LoadsAnyFile()})
		if err != nil {
			deploy.LearnFiles(dir, r.Secrets)
			errs = append(errs, &config.FieldError{Field: k.field, Value: dir, Remedy: err.Error()})
		}
		if m != nil {
			m.LearnSecrets(r.Secrets)
		}
		r.manifests[k.profile] = m
	}
	errs = append(errs, r.references(ctx, r.plan(listing, nil), nil))
	if errors.Join(errs...) == nil {
		part.Done(fmt.Sprintf("%d of %d specs selected, deployments rendered", len(listing.Selected), len(listing.Specs)))
	}
	if r.Config.Cluster.Provider == config.Existing {
		if _, err := r.connect(ctx); err != nil {
			if ctx.Err() != nil {
				return spec.Listing{}, context.Cause(ctx)
			}
			errs = append(errs, &config.FieldError{Field: "KUBECONFIG", Value: r.Config.Cluster.Kubeconfig, Remedy: err.Error()})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return spec.Listing{}, &UsageError{err}
	}
	return listing, nil
}
