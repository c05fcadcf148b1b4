package run

import (
	"context"
	"fmt"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/facts"
	"pmem-memcached-e2e/framework/live"
	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// Inspection is what a run knows about a cluster before its specs.
type Inspection struct {
	Plan   []spec.Planned
	Facts  []report.Fact
	Checks []report.Check // nil: not asked for
}

// Inspect asks the cluster as a run does before its specs, runs the preflight
// checks if withChecks is set, and writes no report. Progress goes to Stderr.
// The error is a UsageError as in a run.
func (r *Runner) Inspect(ctx context.Context, withChecks bool) (Inspection, error) {
	if r.Secrets == nil {
		r.Secrets = &redact.Redactor{}
	}
	found, err := r.inspect(ctx, withChecks)
	return redact.In(r.Secrets, found), r.Secrets.Error(err)
}

func (r *Runner) inspect(ctx context.Context, withChecks bool) (Inspection, error) {
	r.recorder = report.NewRecorder(report.Run{}, spec.Catalogue{})
	r.recorder.Secrets = r.Secrets
	r.live = live.New(r.Stderr, r.Getenv)
	r.live.Secrets = r.Secrets
	defer r.live.Close()
	r.live.Topic("cluster", r.Config.Where())
	listing, err := r.validate(ctx)
	if err != nil {
		return Inspection{}, err
	}
	target, err := r.Provider.Up(ctx, r.live.Writer(), r.observe)
	if err != nil {
		return Inspection{}, fmt.Errorf("find the cluster: %w", err)
	}
	r.use(target)
	limited, cancel := context.WithTimeout(ctx, r.scaled(examineLimit))
	defer cancel()
	p, err := r.probe(limited, listing)
	if err != nil {
		return Inspection{}, r.cause(ctx, err)
	}
	found := Inspection{Plan: p.plan, Facts: append(p.facts, target.Facts...)}
	if withChecks {
		checks, more, _ := r.check(limited, p)
		found.Checks, found.Facts = checks, append(found.Facts, more...)
	}
	return found, ctx.Err()
}

// Planned is what a run would do as far as that is known without a cluster.
func (r *Runner) Planned() ([]spec.Planned, error) {
	listing, err := r.Suite.list(r.Config)
	if err != nil {
		return nil, err
	}
	return r.planned(listing), nil
}

// planned is the plan by what the settings decide.
func (r *Runner) planned(listing spec.Listing) []spec.Planned {
	given := facts.Found{Features: map[spec.Feature]spec.Support{}}
	given.Given(r.Config)
	if r.Config.Cluster.Provider != config.Existing {
		delete(given.Features, spec.OtherMemcached) // which the provider knows once it is up
	}
	return r.plan(listing, given.Features)
}

// use takes over what the provider knows of its cluster.
func (r *Runner) use(target Target) {
	r.Config.Cluster.Kubeconfig, r.Config.Deploy.MemcachedImage, r.Config.Deploy.OtherImage = target.Kubeconfig, target.MemcachedImage, target.OtherImage
}
