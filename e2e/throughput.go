package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/onsi/gomega"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/bench"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "THR-01", Title: "an ephemeral cache answers a load with nothing but right values",
	Covers: []spec.ReqID{"EPH-12"}, Level: spec.Must, Profile: spec.Ephemeral,
	Tags: []string{"throughput"}, Budget: loadBudget,
}, func(ctx context.Context, e *framework.Env) { answersRightly(ctx, e) })

var _ = framework.It(spec.Spec{
	ID: "THR-02", Title: "a persistent cache answers a load with nothing but right values",
	Covers: []spec.ReqID{"EPH-12"}, Level: spec.Must, Profile: spec.Persistent,
	Tags: []string{"throughput"}, Budget: loadBudget,
}, func(ctx context.Context, e *framework.Env) { answersRightly(ctx, e) })

var _ = framework.It(spec.Spec{
	ID: "THR-03", Title: "a cache on persistent memory is not much slower than the same cache in DRAM",
	Covers: []spec.ReqID{"MC-09"}, Level: spec.Should, Profile: spec.Ephemeral,
	Tags: []string{"throughput"}, Budget: loadBudget,
}, func(ctx context.Context, e *framework.Env) {
	deployments, subjects := twins(ctx, e, deploy.Changes{})
	clients, end := loadClients(ctx, e, deployments[0], 1)
	compareTwins(ctx, e, clients, bench.GetHeavy(e.Config.Sample()), subjects)
	end()
})

// loadBudget is enough for samples of some seconds; more are given more time by
// WAIT_SCALE.
const loadBudget = 15 * time.Minute

// answersRightly fails on wrong or missing answers and never for being slow.
// Each connection has keys of its own, so that old values are wrong too.
func answersRightly(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "EPH-12", e.Manifest(e.Spec.Profile))
	clients, end := loadClients(ctx, e, d, 1)
	s := bench.GetHeavy(e.Config.Sample())
	s.Load.Owned, s.Load.Gets, s.Load.Sets = true, 3, 1
	o := s.Load
	o.Addr = serviceAddr(ctx, e, d)
	e.Step("load memcached for %s", o.Duration)
	r, err := clients.Load(ctx, o)
	e.NoError(err, "load memcached")
	end()
	e.Note("load", r.String())
	expectRight(e, "EPH-12", framework.Name("pod", pod(ctx, e, d)), r)
	s.Name, s.Says = "service", "every connection with keys of its own"
	p := bench.Pairs{Scenario: s.Name, Measured: [2]bench.Measured{{Name: onPMEM, Closed: []load.Result{r}}}}
	b := p.Benchmark(s)
	b.Raw = keepJSON(e, s.Name, p)
	e.Measured(b)
}

// nearDRAM is the share of the throughput in DRAM that the interval must reach.
// Less is a shame also for memory that is slower than DRAM, because most of the
// time of a request goes into the network.
const nearDRAM = 0.8

// compareTwins measures a scenario in pairs. It fails on wrong answers, and when
// persistent memory is shown to be much slower, never for what noise may be.
func compareTwins(ctx context.Context, e *framework.Env, clients *bench.Clients, s bench.Scenario, subjects []bench.Subject) {
	p, err := clients.Measure(ctx, s, subjects, bench.Plan{
		Pairs: e.Config.Sampling.Pairs, Open: true, Observe: func(text string) { e.Step("%s", text) },
	})
	e.NoError(err, "measure")
	b := p.Benchmark(s)
	b.Raw = keepJSON(e, s.Name, p)
	e.Measured(b)
	object := "Service " + subjects[0].Addr + " and its twin " + subjects[1].Addr
	e.Expect("MC-09", s.Name+": every request is answered, and rightly", object, p.Trouble(), gomega.BeEmpty())
	if len(b.Invalid) > 0 {
		e.NoError(errors.New(strings.Join(b.Invalid, "; ")), "compare the throughput of %s", s.Name)
	}
	for _, c := range b.Comparisons {
		if c.Metric == bench.Throughput {
			e.Expect("MC-09", fmt.Sprintf("%s: the throughput is %.0f %% of that in DRAM (%.0f to %.0f in %d pairs); the interval reaches this share",
				s.Name, 100*c.Ratio, 100*c.Low, 100*c.High, c.Pairs), object, c.High, gomega.BeNumerically(">=", nearDRAM))
		}
	}
}
