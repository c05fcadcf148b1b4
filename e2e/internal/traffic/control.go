package traffic

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/onsi/gomega"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/workload"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/bench"
	"pmem-memcached-e2e/framework/deploy"
)

// Names of what is compared.
const (
	OnPMEM = "pmem"
	onDRAM = "dram"
)

// Controls are the deployment under test and the same with its volume replaced by
// memory, in a namespace of its own.
func Controls(ctx context.Context, e *framework.Env, ch deploy.Changes) (deployments []*deploy.Deployment, subjects []bench.Subject) {
	own, twin := ch, ch
	own.Namespace = e.Namespace
	twin.Namespace, twin.VolumeInMemory = e.Namespace+"-"+onDRAM, true
	e.MakeNamespace(ctx, twin.Namespace)
	deployments = e.DeployAll(ctx, "MC-09", e.Variant(e.Spec.Profile, own), e.Variant(e.Spec.Profile, twin))
	for i, name := range []string{OnPMEM, onDRAM} {
		subjects = append(subjects, bench.Subject{Name: name, Addr: Addr(ctx, e, deployments[i])})
	}
	return deployments, subjects
}

// CacheSize is what memcached may use for items, in bytes.
func CacheSize(ctx context.Context, e *framework.Env, d *deploy.Deployment) int64 {
	p := workload.Pod(ctx, e, d)
	c := cache.Connect(ctx, e, p)
	defer c.Close()
	limit, err := strconv.ParseInt(cache.Stats(ctx, e, c, "")["limit_maxbytes"], 10, 64)
	e.NoError(err, "read limit_maxbytes of %s", framework.Name("pod", p))
	return limit
}

// nearDRAM is the share of the throughput in DRAM that the interval must reach.
// Less is a shame also for memory that is slower than DRAM, because most of the
// time of a request goes into the network.
const nearDRAM = 0.8

// CompareWithControl measures a scenario in pairs. It fails on wrong answers, and when
// persistent memory is shown to be much slower, never for what noise may be.
func CompareWithControl(ctx context.Context, e *framework.Env, clients *bench.Clients, s bench.Scenario, subjects []bench.Subject) {
	p, err := clients.Measure(ctx, s, subjects, bench.Plan{
		Pairs: e.Config.Sampling.Pairs, Open: true, Observe: func(text string) { e.Step("%s", text) },
	})
	e.NoError(err, "measure")
	b := p.Benchmark(s)
	b.Raw = KeepJSON(e, s.Name, p)
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
