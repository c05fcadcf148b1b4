package report

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/oneline"
)

// What Comparison.Better may be.
const (
	Higher = "higher"
	Lower  = "lower"
)

// Memory is the short name of what the deployment under test keeps its values
// in, as Control.Name is that of its control.
const Memory = "pmem"

// PerSecond is the throughput in operations a second.
func (b Benchmark) PerSecond() float64 {
	if b.Elapsed <= 0 {
		return 0
	}
	return float64(b.Operations) / b.Elapsed.Seconds()
}

// Rated returns those of benchmarks that have a throughput.
func Rated(benchmarks []Benchmark) []Benchmark {
	return slices.DeleteFunc(slices.Clone(benchmarks), func(b Benchmark) bool { return !b.Rated() })
}

// Rated reports whether b has a throughput, and not only curves.
func (b Benchmark) Rated() bool { return b.Operations > 0 || len(b.Samples) > 0 }

// Throughput is the median of the samples in requests a second, or
// [Benchmark.PerSecond] when there are none.
func (b Benchmark) Throughput() float64 {
	if len(b.Samples) == 0 {
		return b.PerSecond()
	}
	return middle(b.Samples)
}

// Throughput is the median of the samples in requests a second.
func (t Control) Throughput() float64 { return middle(t.Samples) }

func middle(samples []Sample) float64 {
	rates := make([]float64, len(samples))
	for i, s := range samples {
		rates[i] = s.PerSecond
	}
	slices.Sort(rates)
	n := len(rates)
	if n == 0 {
		return 0
	}
	return (rates[(n-1)/2] + rates[n/2]) / 2
}

// Throughputs is the throughput of both memories in words; empty when it has none.
func (b Benchmark) Throughputs() string {
	if !b.Rated() {
		return ""
	}
	if b.Control == nil {
		return fmt.Sprintf("%.0f requests/s", b.Throughput())
	}
	return fmt.Sprintf("%s %.0f requests/s, %s %.0f requests/s", Memory, b.Throughput(), b.Control.Name, b.Control.Throughput())
}

// Unsteady lists which samples changed while they were measured, a line for
// each.
func (b Benchmark) Unsteady() []string {
	var lines []string
	tell := func(of string, samples []Sample) {
		for i, s := range samples {
			if s.Unsteady != "" {
				lines = append(lines, fmt.Sprintf("%s, sample %d of %d: %s", of, i+1, len(samples), oneline.Of(s.Unsteady)))
			}
		}
	}
	tell(Memory, b.Samples)
	if b.Control != nil {
		tell(b.Control.Name, b.Control.Samples)
	}
	return lines
}

// At is the latency that percent of the requests did not exceed, when it was
// measured.
func (l LatencyOfRequest) At(percent float64) (time.Duration, bool) {
	for _, p := range l.Percentiles {
		if p.Percent == percent {
			return p.Latency, true
		}
	}
	return 0, false
}

// Shows reports whether c shows a difference: its interval does not hold 1.
func (c Comparison) Shows() bool { return c.Pairs > 0 && (c.Low > 1 || c.High < 1) }

// Worse reports whether c shows that the deployment under test is worse than
// its control.
func (c Comparison) Worse() bool { return c.Shows() && (c.Low > 1) == (c.Better == Lower) }

var latencyMetric = regexp.MustCompile(`latency|^p[0-9.]+( |$)`)

// Words is what c shows, such as "3 % slower".
func (c Comparison) Words() string {
	switch {
	case c.Pairs == 0:
		return "not compared"
	case !c.Shows():
		return "no difference shown"
	}
	more, less := "higher", "lower"
	switch {
	case strings.HasSuffix(c.Metric, "/s"):
		more, less = "faster", "slower"
	case latencyMetric.MatchString(c.Metric):
		more, less = "higher latency", "lower latency"
	case strings.HasSuffix(c.Metric, "time"):
		more, less = "longer", "shorter"
	}
	if c.Low > 1 {
		return percent(c.Ratio-1) + " " + more
	}
	return percent(1-c.Ratio) + " " + less
}

// Sentence is what c shows, with the figures that show it.
func (c Comparison) Sentence() string {
	if c.Pairs == 0 {
		return c.Words()
	}
	return fmt.Sprintf("%s (ratio %s)", c.Words(), c.Figures())
}

// Figures is the ratio with its interval and the number of pairs.
func (c Comparison) Figures() string {
	noun := "pairs"
	if c.Pairs == 1 {
		noun = "pair"
	}
	return fmt.Sprintf("%s, %s interval %s to %s, %d %s", Figure(c.Ratio), percent(c.Confidence), Figure(c.Low), Figure(c.High), c.Pairs, noun)
}

// Range is the ratio with its interval, in short.
func (c Comparison) Range() string {
	return fmt.Sprintf("%s (%s-%s)", Figure(c.Ratio), Figure(c.Low), Figure(c.High))
}

// Figure is a ratio with at least two decimals, and as many as tell it from 1.
func Figure(ratio float64) string {
	digits := 2
	if off := math.Abs(ratio - 1); off > 0 && off < 0.005 {
		digits = min(6, int(math.Ceil(-math.Log10(off)-1e-9)))
	}
	if ratio > 0 && ratio < 0.1 {
		digits = min(6, 2+int(math.Ceil(-math.Log10(ratio)))-1)
	}
	return fmt.Sprintf("%.*f", digits, ratio)
}

// percent is a share, with a decimal where it is small.
func percent(share float64) string {
	switch p := 100 * share; {
	case p != 0 && math.Abs(p) < 0.095:
		return fmt.Sprintf("%.2g %%", p)
	case math.Abs(p) < 1.95 && math.Abs(p-math.Round(p)) > 0.049:
		return fmt.Sprintf("%.1f %%", p)
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}
