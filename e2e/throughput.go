package e2e

import (
	"context"
	"time"

	"pmem-memcached-e2e/e2e/internal/traffic"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/bench"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "THR-01", Title: "an ephemeral cache answers a load with right values only",
	Covers: []spec.ReqID{"EPH-12"}, Level: spec.Must, Profile: spec.Ephemeral,
	Tags: []string{"throughput"}, Budget: loadBudget,
}, func(ctx context.Context, e *framework.Env) { answersRightly(ctx, e) })

var _ = framework.It(spec.Spec{
	ID: "THR-02", Title: "a persistent cache answers a load with right values only",
	Covers: []spec.ReqID{"EPH-12"}, Level: spec.Must, Profile: spec.Persistent,
	Tags: []string{"throughput"}, Budget: loadBudget,
}, func(ctx context.Context, e *framework.Env) { answersRightly(ctx, e) })

var _ = framework.It(spec.Spec{
	ID: "THR-03", Title: "a cache on persistent memory is not much slower than the same cache in DRAM",
	Covers: []spec.ReqID{"MC-09"}, Level: spec.Should, Profile: spec.Ephemeral,
	Tags: []string{"throughput"}, Budget: loadBudget, Alone: true,
}, func(ctx context.Context, e *framework.Env) {
	deployments, subjects := traffic.Controls(ctx, e, deploy.Changes{})
	clients, end := traffic.Clients(ctx, e, deployments[0], 1)
	traffic.CompareWithControl(ctx, e, clients, bench.GetHeavy(e.Config.Sample()), deployments, subjects)
	end()
})

// loadBudget is enough for samples of some seconds; more are given more time by
// WAIT_SCALE.
const loadBudget = 15 * time.Minute

// answersRightly fails on wrong or missing answers, however slow they are. Each
// connection has its own keys, so that old values are wrong, too.
func answersRightly(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "EPH-12", e.Manifest(e.Spec.Profile))
	clients, end := traffic.Clients(ctx, e, d, 1)
	s := bench.GetHeavy(e.Config.Sample())
	s.Load.Owned, s.Load.Gets, s.Load.Sets = true, 3, 1
	o := s.Load
	o.Addr = traffic.Addr(ctx, e, d)
	e.Step("load memcached for %s", o.Duration)
	r := traffic.Load(ctx, e, clients, d, o, "load memcached")
	end()
	traffic.Note(e, "load", r)
	traffic.ExpectRight(e, "EPH-12", framework.Name("pod", workload.Pod(ctx, e, d)), r)
	s.Name, s.Meaning = "service", "every connection with its own keys"
	p := bench.Pairs{Scenario: s.Name, Measured: [2]bench.Measured{{Name: traffic.OnPMEM, Closed: []load.Result{r}}}}
	b := p.Benchmark(s)
	b.Raw = traffic.KeepJSON(e, s.Name, p)
	e.Measured(b)
}
