package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchmath"

	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/report"
)

// Confidence of the intervals.
const Confidence = 0.95

// LeastPairs are needed before the median of their ratios has an interval of
// that confidence: the order statistics of fewer do not reach it.
const LeastPairs = 6

// Metrics that are compared.
const (
	Throughput = "requests/s"
	ServerCPU  = "server CPU/request"
)

// metric is one number of a sample; 0: it is not known.
type metric struct {
	name, better string
	of           func(closed, open *load.Result) float64
}

func metrics() []metric {
	latency := func(percent float64) func(_, open *load.Result) float64 {
		return func(_, open *load.Result) float64 {
			if open == nil {
				return 0
			}
			return float64(open.All().ValueAtPercentile(percent))
		}
	}
	return []metric{
		{Throughput, report.Higher, func(closed, _ *load.Result) float64 { return closed.PerSecond() }},
		{"p50", report.Lower, latency(50)},
		{"p99", report.Lower, latency(99)},
		{ServerCPU, report.Lower, func(closed, _ *load.Result) float64 { return float64(serverCPU(*closed)) }},
	}
}

// serverCPU is the server's processor time of one request; 0: not known.
func serverCPU(r load.Result) time.Duration {
	if r.ServerCPUUnknown != "" {
		return 0
	}
	return r.ServerCPU / time.Duration(max(r.Answered(), 1))
}

// Compare gives the ratio of the first subject to the second for each metric
// that is known of both in every pair, with an interval for its median that
// assumes nothing about how the ratios are distributed.
func (p Pairs) Compare() []report.Comparison {
	var list []report.Comparison
	for _, m := range metrics() {
		if ratios, ok := p.ratios(m); ok {
			list = append(list, compare(m.name, m.better, ratios))
		}
	}
	return list
}

func compare(name, better string, ratios []float64) report.Comparison {
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(ratios, &benchmath.DefaultThresholds), Confidence)
	c := report.Comparison{Metric: name, Better: better, Ratio: s.Center, Low: s.Lo, High: s.Hi, Confidence: s.Confidence, Pairs: len(ratios)}
	if len(ratios) < LeastPairs {
		c.Confidence = 0
	}
	if math.IsInf(c.Low, 0) || math.IsNaN(c.Low) {
		c.Low = slices.Min(ratios)
	}
	if math.IsInf(c.High, 0) || math.IsNaN(c.High) {
		c.High = slices.Max(ratios)
	}
	return c
}

func (p Pairs) ratios(m metric) ([]float64, bool) {
	var ratios []float64
	for n := range p.Measured[0].Closed {
		var values [2]float64
		for i, of := range p.Measured {
			if n >= len(of.Closed) {
				return nil, false
			}
			var open *load.Result
			if n < len(of.Open) {
				open = &of.Open[n]
			}
			values[i] = m.of(&of.Closed[n], open)
		}
		// A subject that answers nothing in a sample has a throughput of 0. Of the others 0 is not known.
		if values[1] <= 0 || values[0] <= 0 && m.name != Throughput {
			return nil, false
		}
		ratios = append(ratios, values[0]/values[1])
	}
	return ratios, len(ratios) > 0
}

// Percentiles that are reported of a latency.
var percentiles = []float64{50, 90, 99, 99.9, 99.99, 100}

// Benchmark is the pairs in the report's terms.
func (p Pairs) Benchmark(s Scenario) report.Benchmark {
	own := p.Measured[0]
	b := report.Benchmark{Name: s.Name, Setting: s.Setting(p.Rate), Latencies: own.latencies(), Samples: own.samples(), Invalid: p.invalid()}
	for _, r := range own.Closed {
		b.Operations += r.Answered()
		b.Elapsed += r.Elapsed
	}
	if control := p.Measured[1]; len(control.Closed) > 0 {
		b.Control = &report.Control{Name: control.Name, Latencies: control.latencies(), Samples: control.samples()}
		b.Comparisons = p.Compare()
	}
	return b
}

// Setting says what is measured, in one line.
func (s Scenario) Setting(rate float64) string {
	o := s.Load
	mix := fmt.Sprintf("%d gets to %d sets", o.Gets, o.Sets)
	if o.Multiget > 1 {
		mix += fmt.Sprintf(", %d keys a get", o.Multiget)
	}
	text := fmt.Sprintf("%s: %s, values of %s bytes, %d keys, %s, %s protocol, %d connections, closed loop of depth %d",
		s.Meaning, mix, o.Values, o.Keys, o.Popular, o.Protocol, o.Connections, o.Depth)
	if rate > 0 {
		text += fmt.Sprintf("; latency in an open loop of %.0f requests/s with %s arrivals", rate, o.Arrivals)
	}
	return text + fmt.Sprintf("; samples of %s", o.Duration)
}

// latencies are those of the open loop, or of the closed one when there is no
// other.
func (m Measured) latencies() []report.LatencyOfRequest {
	from := m.Open
	if len(from) == 0 {
		from = m.Closed
	}
	all, err := load.Merge(from)
	if err != nil {
		return nil // there is no sample
	}
	var list []report.LatencyOfRequest
	for _, kind := range []struct {
		name string
		h    load.Histogram
	}{{"get", all.Get}, {"set", all.Set}, {"delete", all.Delete}} {
		if kind.h.TotalCount() == 0 {
			continue
		}
		l := report.LatencyOfRequest{Request: kind.name, Count: kind.h.TotalCount()}
		for _, percent := range percentiles {
			l.Percentiles = append(l.Percentiles, report.Percentile{Percent: percent, Latency: at(kind.h, percent)})
		}
		list = append(list, l)
	}
	return list
}

func at(h load.Histogram, percent float64) time.Duration {
	return time.Duration(h.ValueAtPercentile(percent)) * time.Microsecond
}

func (m Measured) samples() []report.Sample {
	var list []report.Sample
	for n, closed := range m.Closed {
		timed := closed
		if n < len(m.Open) {
			timed = m.Open[n]
		}
		all := timed.All()
		list = append(list, report.Sample{
			PerSecond: closed.PerSecond(), P50: at(all, 50), P99: at(all, 99),
			ClientCPU: closed.CPUPerRequest(), ServerCPU: serverCPU(closed), Unsteady: closed.Unsteady,
		})
	}
	return list
}

// invalid are the reasons of all samples, each once, with how many have it.
func (p Pairs) invalid() []string {
	counts, total := map[string]int{}, 0
	var order []string
	for _, m := range p.Measured {
		for _, r := range slices.Concat(m.Closed, m.Open) {
			total++
			for _, text := range r.Invalid {
				text = m.Name + ": " + text
				if counts[text]++; counts[text] == 1 {
					order = append(order, text)
				}
			}
		}
	}
	for i, text := range order {
		order[i] = fmt.Sprintf("%s (%d of %d samples)", text, counts[text], total)
	}
	return order
}

// Faults says which answers of the samples were wrong or missing; empty: none.
func (p Pairs) Faults() string {
	var parts []string
	for _, m := range p.Measured {
		for _, r := range slices.Concat(m.Closed, m.Open) {
			parts = append(parts, faults(m.Name, r)...)
		}
	}
	return strings.Join(parts, "; ")
}

func faults(subject string, r load.Result) []string {
	if r.Wrong == 0 && r.Errors == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d wrong answers and %d errors among %d: %q", subject, r.Wrong, r.Errors, r.Answered(), r.Complaints)}
}
