package render

import (
	"testing"

	"pmem-memcached-e2e/framework/report"
)

func TestChance(t *testing.T) {
	of := func(n int, confidence float64) []report.Benchmark {
		list := make([]report.Comparison, n)
		for i := range list {
			list[i].Confidence = confidence
		}
		return []report.Benchmark{{Comparisons: list[:n/2]}, {Comparisons: list[n/2:]}}
	}
	for name, test := range map[string]struct {
		benchmarks []report.Benchmark
		want       string
	}{
		"few":         {of(4, 0.97), ""},
		"many":        {of(28, 0.96875), "Of 28 comparisons about 1 would show a difference by chance alone."},
		"no interval": {of(28, 0), ""},
	} {
		if got := chance(test.benchmarks); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
