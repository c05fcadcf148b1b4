package render

import (
	"fmt"
	"math"
	"time"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// scenario is a benchmark with its control, by figures that any rule would do.
type scenario struct {
	name            string
	profile         spec.Profile
	rate            float64 // of the control
	ratio, interval float64 // of the throughput, and half of its width
	tail            float64 // ratio of p99
	requests        []string
}

var scenarios = []scenario{
	{"get-heavy", spec.Ephemeral, 5400, 0.98, 0.035, 1.02, []string{"get", "set"}},
	{"mixed", spec.Ephemeral, 5150, 0.97, 0.012, 1.04, []string{"get", "set"}},
	{"set-heavy", spec.Ephemeral, 4700, 0.93, 0.02, 1.13, []string{"get", "set"}},
	{"large-values", spec.Ephemeral, 1900, 0.82, 0.05, 1.31, []string{"get", "set"}},
	{"multiget", spec.Ephemeral, 14200, 1.01, 0.02, 0.99, []string{"get"}},
	{"mostly-miss", spec.Persistent, 6100, 1.03, 0.015, 0.95, []string{"get"}},
	{"eviction-churn", spec.Persistent, 4300, 0.9, 0.12, 1.2, []string{"get", "set"}},
	{"warm-restart", spec.Persistent, 5000, 1, 0.04, 1, []string{"get", "set"}},
}

func (s scenario) samples(ratio float64) []report.Sample {
	var samples []report.Sample
	for i := range 8 {
		rate := s.rate * ratio * (1 + 0.02*math.Sin(float64(3*i+len(s.name))))
		samples = append(samples, report.Sample{PerSecond: math.Round(rate), P50: time.Duration(1e9 / rate), P99: time.Duration(5e9 / rate),
			ClientCPU: 21 * time.Microsecond, ServerCPU: 34 * time.Microsecond})
	}
	return samples
}

func (s scenario) latencies(ratio float64) []report.LatencyOfRequest {
	var list []report.LatencyOfRequest
	for n, request := range s.requests {
		l := report.LatencyOfRequest{Request: request, Count: int64(s.rate * 40 / float64(n+1))}
		for i, percent := range []float64{50, 90, 99, 99.9, 99.99, 100} {
			us := 1e6 / s.rate * math.Pow(2.4, float64(i)) * (1 + 0.25*float64(n)) * math.Pow(ratio, float64(i)/2)
			l.Percentiles = append(l.Percentiles, report.Percentile{Percent: percent, Latency: time.Duration(us) * time.Microsecond})
		}
		list = append(list, l)
	}
	return list
}

func (s scenario) benchmark() report.Benchmark {
	samples := s.samples(s.ratio)
	return report.Benchmark{Name: s.name, Setting: "4 connections, 9 gets a set, values of 1000 bytes, keys by zipf 0.99, closed loop in a pod on the same node",
		Operations: int64(s.rate * 40), Elapsed: 40 * time.Second, Latencies: s.latencies(s.tail), Samples: samples,
		Control: &report.Control{Name: "dram", Samples: s.samples(1), Latencies: s.latencies(1)},
		Comparisons: []report.Comparison{
			{Metric: "requests/s", Better: report.Higher, Ratio: s.ratio, Low: s.ratio - s.interval, High: s.ratio + s.interval, Confidence: 0.95, Pairs: 8},
			{Metric: "p99", Better: report.Lower, Ratio: s.tail, Low: s.tail * 0.95, High: s.tail * 1.06, Confidence: 0.95, Pairs: 8},
		},
		Raw: "evidence/THR-01/" + s.name + ".json"}
}

// restart is the throughput around a warm restart, a point a second.
func restart() report.Curve {
	c := report.Curve{Title: "Throughput around a warm restart", X: "seconds", Y: "requests a second",
		Marks: []report.Mark{{X: 20, Text: "SIGTERM"}, {X: 21.5, Text: "the pod is gone"}, {X: 26, Text: "the pod is ready"}, {X: 27, Text: "the first hit"}}}
	for i, name := range []string{"pmem", "dram"} {
		s := report.Series{Name: name}
		for second := range 61 {
			rate := 5000 + 120*math.Sin(float64(second*(i+2)))
			switch {
			case second >= 20 && second < 27:
				rate = 0
			case second >= 27 && i == 1:
				rate *= 1 - 0.8*math.Exp(-float64(second-27)/9)
			}
			s.Points = append(s.Points, report.Point{X: float64(second), Y: math.Round(rate)})
		}
		c.Series = append(c.Series, s)
	}
	return c
}

// sizes are curves over the size of the cache.
func sizes() []report.Curve {
	of := func(title, y string, value func(mib float64, control bool) float64) report.Curve {
		c := report.Curve{Title: title, X: "MiB of values", Y: y}
		for _, name := range []string{"pmem", "dram"} {
			s := report.Series{Name: name}
			for _, mib := range []float64{64, 128, 256, 512, 1024} {
				s.Points = append(s.Points, report.Point{X: mib, Y: value(mib, name == "dram")})
			}
			c.Series = append(c.Series, s)
		}
		return c
	}
	return []report.Curve{
		of("Size of the cache and throughput", "requests a second", func(mib float64, control bool) float64 {
			if control {
				return 5000 - mib/20
			}
			return 4950 - mib/4
		}),
		of("Size of the cache and time of a warm restart", "seconds", func(mib float64, control bool) float64 {
			if control {
				return 0.9 + mib/40
			}
			return 0.9 + mib/1500
		}),
	}
}

func benchmarkDocument() report.Document {
	r := report.NewRecorder(report.Run{
		ID: "20260102T030405Z-b4n5h", Version: "0123456789ab", Started: began, Purpose: report.Measuring, Command: "make bench BASELINE=baseline.yaml", Provider: "lab",
		Host: "https://127.0.0.1:6443", Seed: 7, WaitScale: "1", Deployments: map[string]string{"ephemeral": "manifests/ephemeral", "persistent": "manifests/persistent"},
	}, catalogue())
	plan := []spec.Planned{}
	for _, s := range catalogue().Specs {
		p := spec.Planned{Spec: s, Outcome: spec.Skipped, Why: "a benchmark run has no specs but benchmarks"}
		if s.ID == "EPH-01" || s.ID == "RST-02" {
			p.Tags, p.Outcome, p.Why = []string{spec.BenchmarkTag}, "", ""
		}
		plan = append(plan, p)
	}
	r.Plan(plan)
	node := func(name, value string) report.Fact {
		return report.Fact{Group: "node worker", Name: name, Value: value, Evidence: "in pod pmem-csi/node"}
	}
	r.Facts([]report.Fact{
		{Group: "cluster", Name: "kubernetes", Value: "v1.37.2", Evidence: "GET /version"},
		{Group: "memcached", Name: "version", Value: "1.6.38", Evidence: "stats"},
		node("architecture", "amd64"), node("processor", "QEMU TCG CPU version 2.5+"), node(report.FactAccelerator, report.FactTCG), node(report.FactEmulated, report.FactYes),
		node(report.FactMemory, "main memory that the kernel reserves by memmap=4G!4G"),
	})
	entry := func(benchmark string, profile spec.Profile, metric string, value, tolerance float64) report.BaselineEntry {
		return report.BaselineEntry{Benchmark: benchmark, Profile: profile, Metric: metric, Value: value, Tolerance: tolerance, State: report.NotMeasured}
	}
	slow := entry("large-values", spec.Ephemeral, "requests/s", 0.97, 0.05)
	slow.Reason, slow.Link = "as in release 1.1", "https://example.org/issues/21"
	r.Baseline([]report.BaselineEntry{entry("get-heavy", spec.Ephemeral, "requests/s", 0.99, 0.1), slow,
		entry("mostly-miss", spec.Persistent, "p99", 1.3, 0.1), entry("eviction-churn", spec.Persistent, "requests/s", 0.9, 0.1)})
	tell(r, 1, report.Event{Kind: report.SuiteStarted, Text: "7"})
	for _, id := range []string{"EPH-01", "RST-02"} {
		result := passed(id)
		tell(r, 10, report.Event{Kind: report.SpecStarted, Spec: id})
		for _, s := range scenarios {
			if s.profile != result.Profile {
				continue
			}
			b := s.benchmark()
			b.Spec, b.Profile = id, result.Profile
			switch s.name {
			case "eviction-churn":
				b.Invalid = []string{"the client was the bottleneck: its processor was busy for 98 % of the time", "1 of 4 clients was lost"}
				b.Samples[2].Unsteady, b.Control.Samples[5].Unsteady = "it fell by 22 % from the first third to the last", "it rose by 15 % from the first third to the last"
			case "warm-restart":
				b = report.Benchmark{Name: s.name, Spec: id, Profile: result.Profile, Setting: "gets only, open loop of 2500 requests/s",
					Found:  []string{"pmem: no answer for 4.1s, 90 % of 2500/s again after 4.3s", "dram: no answer for 3.9s, and then nothing is found"},
					Curves: append([]report.Curve{restart()}, sizes()...)}
			}
			tell(r, 20, report.Event{Kind: report.Measured, Spec: id, Benchmark: &b})
		}
		tell(r, 40, report.Event{Kind: report.SpecEnded, Spec: id, Result: &result})
	}
	tell(r, 60, report.Event{Kind: report.SuiteEnded})
	return r.Finish(at(61), nil)
}

// hostileBenchmark has texts that would break a page, a table or a document.
func hostileBenchmark() report.Benchmark {
	b := scenarios[0].benchmark()
	b.Name, b.Setting, b.Invalid, b.Raw = hostile, hostile, []string{hostile}, "javascript:alert(1)"
	b.Found = []string{hostile}
	b.Samples[0].Unsteady, b.Control.Name = hostile, fmt.Sprint("t\n", hostile)
	b.Comparisons[0].Metric, b.Latencies[0].Request = hostile, hostile
	b.Curves = []report.Curve{{Title: hostile, X: hostile, Y: hostile, Series: []report.Series{{Name: hostile, Points: []report.Point{{X: 1, Y: 1}}}},
		Marks: []report.Mark{{X: 2, Text: hostile}}}}
	return b
}
