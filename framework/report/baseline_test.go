package report

import (
	"testing"

	"pmem-memcached-e2e/framework/spec"
)

func getHeavy() BaselineEntry {
	return BaselineEntry{Benchmark: "get-heavy", Profile: spec.Ephemeral, Metric: "requests/s", Value: 0.95, Tolerance: 0.1, Line: 1, State: NotMeasured}
}

// compared is a benchmark with one comparison.
func compared(metric, better string, low, ratio, high float64) Benchmark {
	samples := make([]Sample, 8)
	for i := range samples {
		samples[i] = Sample{PerSecond: 5000 + 10*float64(i)}
	}
	return Benchmark{Name: "get-heavy", Spec: "THR-01", Profile: spec.Ephemeral, Setting: "9 gets a set", Latencies: []LatencyOfRequest{},
		Samples: samples, Control: &Control{Name: "dram", Samples: samples, Latencies: []LatencyOfRequest{}},
		Comparisons: []Comparison{{Metric: metric, Better: better, Ratio: ratio, Low: low, High: high, Confidence: 0.95, Pairs: 8}}}
}

func TestBaselineStates(t *testing.T) {
	invalid := compared("requests/s", Higher, 0.5, 0.5, 0.5)
	invalid.Invalid = []string{"the client was the bottleneck"}
	unpaired := compared("requests/s", Higher, 0.5, 0.5, 0.5)
	unpaired.Comparisons[0].Pairs = 0
	elsewhere := compared("requests/s", Higher, 0.5, 0.5, 0.5)
	elsewhere.Profile = spec.Persistent
	latency := func(e *BaselineEntry) { e.Metric = "p99" }
	for _, tt := range []struct {
		name      string
		measured  []Benchmark
		change    func(*BaselineEntry)
		want      BaselineState
		says, why string
	}{
		{name: "as it was", measured: []Benchmark{compared("requests/s", Higher, 0.94, 0.95, 0.96)}, want: Held},
		{name: "a part of the interval is within the tolerance", measured: []Benchmark{compared("requests/s", Higher, 0.7, 0.8, 0.86)}, want: Held},
		{name: "the whole interval is below", measured: []Benchmark{compared("requests/s", Higher, 0.8, 0.82, 0.85)}, want: Regressed,
			says: "ratio 0.82, 95 % interval 0.80 to 0.85, 8 pairs; the baseline is 0.95 with a tolerance of 10 %"},
		{name: "the whole interval is above", measured: []Benchmark{compared("requests/s", Higher, 1.05, 1.1, 1.2)}, want: Improved},
		{name: "latency above", measured: []Benchmark{compared("p99", Lower, 1.05, 1.1, 1.2)}, change: latency, want: Regressed},
		{name: "latency below", measured: []Benchmark{compared("p99", Lower, 0.8, 0.82, 0.85)}, change: latency, want: Improved},
		{name: "no tolerance", measured: []Benchmark{compared("requests/s", Higher, 0.93, 0.94, 0.949)}, change: func(e *BaselineEntry) { e.Tolerance = 0 }, want: Regressed},
		{name: "the last of two counts", measured: []Benchmark{compared("requests/s", Higher, 0.8, 0.82, 0.85), compared("requests/s", Higher, 0.94, 0.95, 0.96)}, want: Held},
		{name: "not run", want: NotMeasured, says: "the run has no such benchmark; the baseline is 0.95 with a tolerance of 10 %"},
		{name: "another profile", measured: []Benchmark{elsewhere}, want: NotMeasured, why: "the run has no such benchmark"},
		{name: "another metric", measured: []Benchmark{compared("p99", Lower, 1, 1, 1)}, want: NotMeasured, why: "the benchmark has no comparison of requests/s"},
		{name: "no pairs", measured: []Benchmark{unpaired}, want: NotMeasured, why: "no pair was measured"},
		{name: "invalid", measured: []Benchmark{invalid}, want: NotMeasured, why: "the figures say little: the client was the bottleneck"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := getHeavy()
			if tt.change != nil {
				tt.change(&e)
			}
			got := e.judged(tt.measured)
			if got.State != tt.want || (got.Measured == nil) != (tt.want == NotMeasured) || tt.why != "" && got.Why != tt.why {
				t.Errorf("%+v, want it %s because %q", got, tt.want, tt.why)
			}
			if tt.says != "" && got.Against() != tt.says {
				t.Errorf("it says %q, want %q", got.Against(), tt.says)
			}
		})
	}
}
