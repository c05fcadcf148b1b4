package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
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
	o := load.Default(client.Addr)
	o.Protocol, o.Connections, o.Keys, o.Values, o.Owned = load.Text, 4, 400, load.Fixed(1000), true
	o.WarmUp, o.Duration = 0, e.Config.BenchDuration
	result, err := load.Run(ctx, o)
	e.NoError(err, "load memcached")
	e.Measured(report.Benchmark{
		Name: string(e.Spec.Profile) + " throughput",
		Setting: fmt.Sprintf("%d connections, values of %s bytes, 90 %% gets, closed loop through a Kubernetes port-forward: "+
			"a comparison of runs on one cluster, no figure of memcached or of the memory", o.Connections, o.Values),
		Operations: result.Answered(), Elapsed: result.Elapsed,
		Latencies: []report.LatencyOfRequest{latencies("get", result.Get.Histogram), latencies("set", result.Set.Histogram)},
	})
	e.Note("load", result.String())
	name := framework.Name("pod", p)
	e.Expect("EPH-12", "requests are answered", name, result.Answered(), gomega.BeNumerically(">", 0))
	e.Expect("EPH-12", fmt.Sprintf("every answer is right %q", result.Complaints), name, result.Wrong, gomega.BeZero())
	e.Expect("EPH-12", fmt.Sprintf("every request is answered %q", result.Complaints), name, result.Errors, gomega.BeZero())
}

func latencies(request string, h *hdrhistogram.Histogram) report.LatencyOfRequest {
	l := report.LatencyOfRequest{Request: request, Count: h.TotalCount()}
	for _, percent := range []float64{50, 90, 99, 99.9, 100} {
		l.Percentiles = append(l.Percentiles, report.Percentile{Percent: percent, Latency: time.Duration(h.ValueAtPercentile(percent)) * time.Microsecond})
	}
	return l
}
