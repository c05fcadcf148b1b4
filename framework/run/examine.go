package run

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/facts"
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

// examine finds out about the cluster, decides what runs on it, and returns an
// error when it lacks what the specs need.
func (r *Runner) examine(ctx context.Context, listing spec.Listing, known []report.Fact) ([]spec.Planned, error) {
	limited, cancel := context.WithTimeout(ctx, r.scaled(examineLimit))
	defer cancel()
	c, err := r.connect(limited)
	if err != nil {
		return nil, err
	}
	r.recorder.Run(func(run *report.Run) { run.Host = c.Config.Host })

	deployments, err := r.used(r.plan(listing, nil))
	if err != nil {
		return nil, err
	}
	waiter := wait.Waiter{Scale: r.Config.WaitScale, Observe: r.observe}
	part := r.live.Begin("facts", "the driver's pods, until they are ready")
	if err := pmem.AwaitNodeDrivers(limited, c, waiter); err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	} // else facts and checks tell what is wrong with the driver
	found := facts.Probe(limited, c, deployments, part.Now)
	factsTook := part.End()
	found.Given(r.Config)
	plan := r.plan(listing, found.Features)
	r.recorder.Plan(plan)
	r.Config.NotApplicable = map[string]string{}
	for _, p := range plan {
		if p.Outcome == spec.NotApplicable {
			r.Config.NotApplicable[p.ID] = p.Why
		}
	}
	if len(r.Config.NotApplicable) > 0 {
		r.live.Plan(plan)
	}
	if !runnable(plan) {
		return nil, fmt.Errorf("no spec is left to run: the %d that are selected are not applicable", len(r.Config.NotApplicable))
	}

	var manifests []*deploy.Manifest
	for _, d := range deployments {
		manifests = append(manifests, d.Manifest)
	}
	part = r.live.Begin("checks", "")
	checks, more := preflight.Run(limited, preflight.Subject{
		Cluster: c, Manifests: manifests, Waiter: waiter, Disruptive: r.Config.MayDisrupt(), Doing: part.Now,
	}, r.Config.SkipPreflight)
	checksTook := part.End()
	all := slices.Concat(found.Facts, known, more)
	r.recorder.Facts(all)
	r.live.Facts(all, factsTook)
	r.recorder.Preflight(checks)
	r.live.Preflight(checks, checksTook)
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	return plan, preflight.Failed(checks)
}

// connect is done once for a cluster that exists, and shown.
func (r *Runner) connect(ctx context.Context) (*cluster.Cluster, error) {
	if r.cluster != nil {
		return r.cluster, nil
	}
	part := r.live.Begin("connect", r.Config.Cluster.Kubeconfig)
	c, err := cluster.Connect(ctx, r.Config.Cluster.Kubeconfig, r.Config.Cluster.Context)
	if err != nil {
		part.End()
		return nil, err
	}
	r.cluster = c
	part.Done(c.Config.Host)
	return c, nil
}

// used are the manifests that the specs of a plan deploy, with the image that
// they will have.
func (r *Runner) used(plan []spec.Planned) ([]facts.Deployment, error) {
	var used []facts.Deployment
	for _, profile := range []spec.Profile{spec.Ephemeral, spec.Persistent} {
		if !slices.ContainsFunc(plan, func(p spec.Planned) bool { return p.Profile == profile && p.Outcome == "" }) {
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
