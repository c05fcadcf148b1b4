package load

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkRate asks for rising rates of an open loop. kept is the share of
// the rate that was answered; the last line has the highest rate up to which it
// was within 1 % of what was asked.
func BenchmarkRate(b *testing.B) {
	addr, command := free(b)
	start(b, addr, pinned(command...)...)
	limit, broken := 0.0, false
	for _, rate := range []float64{1000, 10_000, 20_000, 40_000, 60_000, 80_000, 100_000, 120_000, 160_000, 200_000, 240_000, 280_000} {
		b.Run(fmt.Sprintf("asked%.0f", rate), func(b *testing.B) {
			o := benchOptions(addr)
			o.Rate, o.Arrivals = rate, Constant
			for b.Loop() {
				var results []Result
				for range pairs {
					results = append(results, measure(b, o))
				}
				kept := median(results, func(r Result) float64 { return r.PerSecond() / rate })
				if broken = broken || kept < rateShare; !broken {
					limit = rate
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(kept, "kept")
				b.ReportMetric(median(results, func(r Result) float64 { return float64(r.Late.ValueAtPercentile(99)) }), "late-p99-µs")
				b.ReportMetric(median(results, func(r Result) float64 { return float64(r.Get.ValueAtPercentile(99)) }), "p99-µs")
				b.ReportMetric(median(results, func(r Result) float64 { return float64(r.CPUPerRequest()) }), "client-ns/req")
			}
		})
	}
	b.Run("limit", func(b *testing.B) {
		for b.Loop() {
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(limit, "req/s")
		}
	})
}

// BenchmarkHalf compares the latency of an open loop at half of the ceiling,
// which is the rate of a closed loop of 32 connections, with that of a closed
// loop of depth 1 of so many connections that its rate is about the same. The
// runs are short and many, so that the medians leave out those during which the
// machine did something else: a pause delays what is due in an open loop, and
// one request of each connection in a closed one.
func BenchmarkHalf(b *testing.B) {
	const runs = 40
	addr, command := free(b)
	start(b, addr, pinned(command...)...)
	o := benchOptions(addr)
	o.Keys, o.WarmUp, o.Duration = 1000, 50*time.Millisecond, 200*time.Millisecond
	rate := func(o Options) float64 {
		var results []Result
		for range pairs {
			results = append(results, measure(b, o))
		}
		return median(results, Result.PerSecond)
	}
	for b.Loop() {
		half := rate(o) / 2
		closed := o
		for closed.Connections = 1; closed.Connections < o.Connections && rate(closed) < half; {
			closed.Connections++
		}
		open := o
		open.Rate, open.Arrivals = half, Poisson
		type pair struct{ open, closed Result }
		var all []pair
		for range runs {
			all = append(all, pair{measure(b, open), measure(b, closed)})
		}
		at := func(r Result, percent float64) float64 { return float64(r.Get.ValueAtPercentile(percent)) }
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(half, "asked/s")
		b.ReportMetric(float64(closed.Connections), "closed-connections")
		b.ReportMetric(median(all, func(p pair) float64 { return p.closed.PerSecond() / half }), "closed-kept")
		b.ReportMetric(median(all, func(p pair) float64 { return p.open.PerSecond() / half }), "open-kept")
		for _, percent := range []float64{50, 99, 99.9} {
			b.ReportMetric(median(all, func(p pair) float64 { return at(p.open, percent) }), fmt.Sprintf("open-p%g-µs", percent))
			b.ReportMetric(median(all, func(p pair) float64 { return at(p.closed, percent) }), fmt.Sprintf("closed-p%g-µs", percent))
			b.ReportMetric(median(all, func(p pair) float64 { return at(p.open, percent) / at(p.closed, percent) }), fmt.Sprintf("open/closed-p%g", percent))
		}
	}
}
