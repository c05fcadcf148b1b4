package traffic

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/onsi/gomega"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/match"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/bench"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/report"
)

// Names of the caches that are compared.
const (
	OnPMEM = "pmem"
	onDRAM = "dram"
)

// Controls deploys the deployment under test and a control: the same with main
// memory in place of its volume, in another namespace. Volumes that would take much of a node's main memory are smaller for both.
// A control that does not become ready, such as one for which no node has the memory, says nothing about the deployment.
func Controls(ctx context.Context, e *framework.Env, ch deploy.Changes) (deployments []*deploy.Deployment, subjects []bench.Subject) {
	own := ch
	own.Namespace = e.Namespace
	own = workload.Bound(e, e.Spec.Profile, own)
	control := own
	control.Namespace, control.VolumeInMemory = e.Namespace+"-"+onDRAM, true
	e.MakeNamespace(ctx, control.Namespace)
	e.Step("deploy the control")
	inDRAM := e.Variant(e.Spec.Profile, control)
	if left := inDRAM.WithoutPolicies(); len(left) > 0 { // whose clients are in the namespace of the deployment
		e.Note("control", "without %s, so that the load clients reach it from the other namespace", strings.Join(left, ", "))
	}
	dram, err := inDRAM.Apply(ctx, e.Cluster, e.Waiter, e.Ledger)
	e.NoError(fault.OfInfrastructure(err), "apply the control in DRAM")
	pmem := e.Deploy(ctx, "MC-09", e.Variant(e.Spec.Profile, own))
	e.NoError(fault.OfInfrastructure(dram.Ready(ctx)), "make the control in DRAM ready")
	deployments = []*deploy.Deployment{pmem, dram}
	for i, name := range []string{OnPMEM, onDRAM} {
		subjects = append(subjects, bench.Subject{Name: name, Addr: Addr(ctx, e, deployments[i])})
	}
	return deployments, subjects
}

// CacheSize is what memcached may use for items, in bytes.
func CacheSize(ctx context.Context, e *framework.Env, d *deploy.Deployment) int64 {
	c := cache.Connect(ctx, e, workload.Pod(ctx, e, d))
	defer c.Close()
	return cache.Number(e, cache.Stats(ctx, e, c, ""), "limit_maxbytes")
}

// nearDRAM is the share of the throughput in DRAM that the interval must reach.
// Memory that is slower than DRAM can reach it, because most of the time of a
// request is spent in the network.
const nearDRAM = 0.8

// CompareWithControl measures a scenario in pairs. It fails on wrong answers, and
// if the interval shows persistent memory to be much slower.
func CompareWithControl(ctx context.Context, e *framework.Env, clients *bench.Clients, s bench.Scenario, deployments []*deploy.Deployment, subjects []bench.Subject) {
	loaded := Loading(ctx, e, clients, deployments[0], deployments[1:]...)
	p, err := clients.Measure(ctx, s, subjects, bench.Plan{
		Pairs: e.Config.Sampling.Pairs, Open: true, Observe: func(text string) { e.Step("%s", text) },
	})
	loaded(err, "measure")
	b := p.Benchmark(s)
	b.Raw = KeepJSON(e, s.Name, p)
	e.Measured(b)
	object := "Service " + subjects[0].Addr + " and its control " + subjects[1].Addr
	e.Expect("MC-09", s.Name+": every request gets the right answer", object, p.Faults(), gomega.BeEmpty())
	if len(b.Invalid) > 0 {
		e.NoError(errors.New(strings.Join(b.Invalid, "; ")), "compare the throughput of %s", s.Name)
	}
	for _, c := range b.Comparisons {
		if c.Metric == bench.Throughput {
			e.Expect("MC-09", s.Name+": the throughput reaches 80 % of that in DRAM", object, throughput(c), reachDRAM)
		}
	}
}

// throughput is that in persistent memory as a share of that in DRAM.
type throughput report.Comparison

// String has what a failure shows as observed.
func (t throughput) String() string {
	return fmt.Sprintf("%.0f %% (%.0f to %.0f %% in %d pairs)", 100*t.Ratio, 100*t.Low, 100*t.High, t.Pairs)
}

var reachDRAM = match.That(fmt.Sprintf("reach %.0f %% within its interval", 100*nearDRAM), func(t throughput) bool { return t.High >= nearDRAM })
