package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/facts"
	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/preflight"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// examineLimit bounds what is asked of the cluster before the specs, at wait
// scale 1; a pod of each image is the longest part of it.
const examineLimit = 4 * time.Minute

func validateSkips(skip []string) error {
	if err := preflight.ValidateSkips(skip); err != nil {
		return &config.FieldError{Field: "SKIP_PREFLIGHT", Value: fmt.Sprint(skip), Remedy: err.Error()}
	}
	return nil
}

// examine asks the cluster for its facts, decides what runs on it, checks what
// that needs, and returns an error when something is missing.
func (r *Runner) examine(ctx context.Context, listing spec.Listing, known []report.Fact) ([]spec.Planned, error) {
	limited, cancel := context.WithTimeout(ctx, r.scaled(examineLimit))
	defer cancel()
	p, err := r.probe(limited, listing)
	if err != nil {
		return nil, r.cause(ctx, err)
	}
	r.recorder.Run(func(run *report.Run) { run.Host = p.subject.Cluster.Config.Host })
	r.recorder.Plan(p.plan)
	r.Config.LeftOut = map[string]string{}
	for _, s := range p.plan {
		if s.Outcome == spec.NotApplicable || s.Outcome == spec.Undetermined {
			r.Config.LeftOut[s.ID] = s.Why
		}
	}
	if len(r.Config.LeftOut) > 0 {
		r.live.Plan(p.plan)
	}
	if err := r.qualifies(p.plan); err != nil {
		return nil, err
	}
	if !runnable(p.plan) {
		return nil, fmt.Errorf("no spec is left to run: each of the %d that are selected is not applicable, or needs what the suite cannot see or must not do", len(r.Config.LeftOut))
	}
	checks, more, took := r.check(limited, p)
	all := slices.Concat(p.facts, known, more)
	r.recorder.Facts(all)
	r.live.Facts(all, p.took)
	r.recorder.Preflight(checks)
	r.live.Preflight(checks, took)
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	return p.plan, preflight.Failed(checks)
}

// qualifies refuses a qualification that would leave specs undetermined for
// lack of what the user can set or grant.
func (r *Runner) qualifies(plan []spec.Planned) error {
	if !r.Config.Qualification {
		return nil
	}
	var remedies []string
	ids := map[string][]string{} // by remedy
	for _, s := range plan {
		if s.Outcome != spec.Undetermined {
			continue
		}
		if ids[s.Remedy] == nil {
			remedies = append(remedies, s.Remedy)
		}
		ids[s.Remedy] = append(ids[s.Remedy], s.ID)
	}
	var errs []error
	for _, remedy := range remedies {
		errs = append(errs, &config.FieldError{Field: "QUALIFICATION", Value: "1",
			Remedy: fmt.Sprintf("it leaves nothing out, and %s could not be examined; %s", strings.Join(ids[remedy], ", "), remedy)})
	}
	if err := errors.Join(errs...); err != nil {
		return &UsageError{err}
	}
	return nil
}

// cause is why ctx has ended, or err.
func (r *Runner) cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// probed is what a cluster was asked.
type probed struct {
	subject preflight.Subject
	facts   []report.Fact
	plan    []spec.Planned
	took    time.Duration
}

// probe connects to the cluster and asks for its facts.
func (r *Runner) probe(ctx context.Context, listing spec.Listing) (probed, error) {
	c, err := r.connect(ctx)
	if err != nil {
		return probed{}, err
	}
	plan := r.plan(listing, nil)
	if err := r.references(ctx, plan, c.Resources.GetControllerRuntimeClient()); err != nil {
		return probed{}, err
	}
	deployments, err := r.used(plan)
	if err != nil {
		return probed{}, err
	}
	p := probed{subject: preflight.Subject{
		Cluster: c, Waiter: wait.Waiter{Scale: r.Config.WaitScale, Final: fault.Lasting, Observe: r.observe}, Disruptive: r.Config.MayDisrupt(),
	}}
	for _, d := range deployments {
		p.subject.Manifests = append(p.subject.Manifests, d.Manifest)
	}
	c.Drivers = deploy.Drivers(ctx, c.Client, p.subject.Manifests...)
	part := r.live.Begin("facts", "the driver's pods, until they are ready")
	if err := pmem.AwaitNodeDrivers(ctx, c, p.subject.Waiter); err != nil && errors.Is(context.Cause(ctx), errInterrupted) {
		return probed{}, context.Cause(ctx)
	} // else facts and checks report what is wrong with the driver
	found := facts.Probe(ctx, c, deployments, part.Now)
	p.took = part.End()
	found.Given(r.Config)
	p.facts, p.plan = found.Facts, r.plan(listing, found.Features)
	return p, nil
}

// check runs the preflight checks. They find further facts.
func (r *Runner) check(ctx context.Context, p probed) ([]report.Check, []report.Fact, time.Duration) {
	part := r.live.Begin("checks", "")
	p.subject.Doing = part.Now
	checks, more := preflight.Run(ctx, p.subject, r.Config.SkipPreflight)
	return checks, more, part.End()
}

// connect is done once for a cluster that exists, and shown.
func (r *Runner) connect(ctx context.Context) (*cluster.Cluster, error) {
	if r.cluster != nil {
		return r.cluster, nil
	}
	part := r.live.Begin("connect", r.Config.Cluster.Kubeconfig)
	c, err := cluster.Connect(ctx, r.Config.Cluster.Kubeconfig, r.Config.Cluster.Context, wait.Waiter{Scale: r.Config.WaitScale})
	if err != nil {
		part.End()
		return nil, err
	}
	r.cluster = c
	r.Secrets.Learn(c.Credentials()...)
	part.Done(c.Config.Host)
	return c, nil
}

// used are the manifests that the specs of a plan deploy, with the image that
// they will have.
func (r *Runner) used(plan []spec.Planned) ([]facts.Deployment, error) {
	var used []facts.Deployment
	for _, profile := range []spec.Profile{spec.Ephemeral, spec.Persistent} {
		if !deploys(plan, profile) {
			continue
		}
		d := r.Config.Deploy
		m, err := deploy.Load(r.manifests[profile].Dir, deploy.Changes{MemcachedImage: d.MemcachedImage, LoadAnyFile: d.LoadsAnyFile()})
		if err != nil {
			return nil, err
		}
		used = append(used, facts.Deployment{Title: string(profile), Manifest: m})
	}
	return used, nil
}
