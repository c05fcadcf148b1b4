package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/gomega"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

var _ = framework.It(spec.Spec{
	ID: "THR-01", Title: "an ephemeral cache answers a load with nothing but right values",
	Covers: []spec.ReqID{"EPH-12"}, Level: spec.Must, Profile: spec.Ephemeral,
	Tags: []string{"throughput"}, Budget: benchBudget,
}, func(ctx context.Context, e *framework.Env) { benchmark(ctx, e) })

var _ = framework.It(spec.Spec{
	ID: "THR-02", Title: "a persistent cache answers a load with nothing but right values",
	Covers: []spec.ReqID{"EPH-12"}, Level: spec.Must, Profile: spec.Persistent,
	Tags: []string{"throughput"}, Budget: benchBudget,
}, func(ctx context.Context, e *framework.Env) { benchmark(ctx, e) })

const benchBudget = 14 * time.Minute // ten of them are the longest BENCH_DURATION

// benchmark fails on wrong or missing answers and never for being slow.
func benchmark(ctx context.Context, e *framework.Env) {
	d := e.Deploy(ctx, "EPH-12", e.Manifest(e.Spec.Profile))
	p := pod(ctx, e, d)
	client := connect(ctx, e, p)
	e.Step("load memcached for %s", e.Config.BenchDuration)
	result, err := load.Run(ctx, load.Options{
		Addr: client.Addr, Connections: 4, Keys: 400, ValueSize: 1000, GetPercent: 90,
		Duration: e.Config.BenchDuration, Timeout: 10 * time.Second, Seed: 1,
	})
	e.NoError(err, "load memcached")
	e.Measured(report.Benchmark{
		Name: string(e.Spec.Profile) + " throughput",
		Setting: fmt.Sprintf("%d connections, values of %d bytes, 90 %% gets, closed loop through a Kubernetes port-forward: "+
			"a comparison of runs on one cluster, no figure of memcached or of the memory", result.Connections, result.ValueSize),
		Operations: result.Operations, Elapsed: result.Elapsed,
		Latencies: []report.LatencyOfRequest{latencies("get", result.Get), latencies("set", result.Set)},
	})
	e.Note("load", result.String())
	name := framework.Name("pod", p)
	e.Expect("EPH-12", "requests are answered", name, result.Operations, gomega.BeNumerically(">", 0))
	e.Expect("EPH-12", fmt.Sprintf("every answer is right %q", result.Complaints), name, result.Wrong, gomega.BeZero())
	e.Expect("EPH-12", fmt.Sprintf("every request is answered %q", result.Complaints), name, result.Errors, gomega.BeZero())
}

func latencies(request string, l load.Latency) report.LatencyOfRequest {
	return report.LatencyOfRequest{Request: request, Count: l.Count, Percentiles: []report.Percentile{
		{Percent: 50, Latency: l.P50}, {Percent: 90, Latency: l.P90}, {Percent: 99, Latency: l.P99},
		{Percent: 99.9, Latency: l.P999}, {Percent: 100, Latency: l.Max},
	}}
}
