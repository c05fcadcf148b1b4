package chart

import (
	"strings"
	"testing"
	"time"

	"gonum.org/v1/plot"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// labels are those that would be drawn between low and high.
func labels(ticks []plot.Tick, low, high float64) string {
	var list []string
	for _, t := range ticks {
		if t.Label != "" && t.Value >= low && t.Value <= high {
			list = append(list, t.Label)
		}
	}
	return strings.Join(list, ", ")
}

func TestTicks(t *testing.T) {
	for _, tt := range []struct{ name, got, want string }{
		{"thousands", labels(thousands{}.Ticks(0, 16400), 0, 16400), "0, 5000, 10 k, 15 k"},
		{"few", labels(thousands{}.Ticks(0, 1), 0, 1), "0, 0.2, 0.4, 0.6, 0.8, 1"},
		{"below zero", labels(thousands{}.Ticks(-1, 1), -1, 1), "-1, -0.5, 0, 0.5, 1"},
		{"millions", labels(thousands{}.Ticks(0, 3e6), 0, 3e6), "0, 500 k, 1 M, 1.5 M, 2 M, 2.5 M, 3 M"},
		{"durations", labels(durations{}.Ticks(1.5e5, 1.2e7), 1.5e5, 1.2e7), "200 µs, 500 µs, 1 ms, 2 ms, 5 ms, 10 ms"},
		{"many decades", labels(durations{}.Ticks(9e3, 2e9), 9e3, 2e9), "10 µs, 100 µs, 1 ms, 10 ms, 100 ms, 1 s"},
		{"ratios near 1", labels(ratioTicks(0.97, 1.03), 0, 9), "0.96, 0.98, 1, 1.02, 1.04"},
		{"ratios", labels(ratioTicks(0.77, 1.045), 0, 9), "0.8, 0.85, 0.9, 0.95, 1, 1.05"},
		{"ratios far apart", labels(ratioTicks(0.5, 6), 0, 9), "0.5, 1, 2, 5"},
		{"seconds", labels(minuteTicks(1.5), 0, 99), "0, 0.25, 0.5, 0.75, 1, 1.25, 1.5"},
		{"minutes", labels(minuteTicks(23.4), 0, 99), "0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22"},
		{"hours", labels(minuteTicks(200), 0, 999), "0, 30, 60, 90, 120, 150, 180"},
		{"ratios out of bounds", labels(ratioTicks(0.01, 2), 0, 9), "0.01, 0.1, 1"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}

func TestPercentTicks(t *testing.T) {
	percentiles := func(percents ...float64) []report.LatencyOfRequest {
		l := report.LatencyOfRequest{Request: "get"}
		for _, p := range percents {
			l.Percentiles = append(l.Percentiles, report.Percentile{Percent: p, Latency: time.Millisecond})
		}
		return []report.LatencyOfRequest{l}
	}
	b := report.Benchmark{Latencies: percentiles(50, 99, 100), Control: &report.Control{Latencies: percentiles(50, 90, 99.9)}}
	ticks := percentTicks(b)
	if got := labels(ticks, 0, 9); got != "p50, p90, p99, p99.9, max" {
		t.Errorf("ticks %s", got)
	}
	if last := ticks[len(ticks)-1].Value; last != 4 {
		t.Errorf("the maximum is at %v, want 4", last)
	}
}

// TestSparse draws what has little or nothing to draw.
func TestSparse(t *testing.T) {
	one := report.Benchmark{Name: "get", Profile: spec.Ephemeral, Latencies: []report.LatencyOfRequest{{Request: "get", Percentiles: []report.Percentile{{Percent: 50, Latency: time.Millisecond}}}}}
	none := report.Benchmark{Name: "get", Latencies: []report.LatencyOfRequest{{Request: "get", Percentiles: []report.Percentile{{Percent: 50}}}}}
	point := report.Curve{Title: "one", Series: []report.Series{{Name: "pmem", Points: []report.Point{{X: 1, Y: 0}}}, {Name: "empty"}}}
	for _, tt := range []struct {
		name  string
		draw  func() (*Chart, error)
		drawn bool
	}{
		{"throughput of nothing", func() (*Chart, error) { return Throughput([]report.Benchmark{none}) }, true},
		{"one latency", func() (*Chart, error) { return Latency(one) }, true},
		{"no latency", func() (*Chart, error) { return Latency(none) }, false},
		{"latencies of zero", func() (*Chart, error) { return Latency(report.Benchmark{}) }, false},
		{"one point", func() (*Chart, error) { return Curve(point) }, true},
		{"no point", func() (*Chart, error) { return Curve(report.Curve{Series: []report.Series{{Name: "empty"}}}) }, false},
		{"no comparison", func() (*Chart, error) { return Ratios("p99", []report.Benchmark{one}) }, false},
		{"a ratio of zero", func() (*Chart, error) {
			return Ratios("p99", []report.Benchmark{{Comparisons: []report.Comparison{{Metric: "p99", Pairs: 1}}}})
		}, false},
	} {
		c, err := tt.draw()
		if err != nil || (c != nil) != tt.drawn {
			t.Errorf("%s: %v, %v, want it drawn: %t", tt.name, c, err, tt.drawn)
			continue
		}
		if c != nil && (strings.Contains(c.SVG, "NaN") || strings.Contains(c.SVG, "Inf") || !strings.Contains(c.SVG, "<svg role=")) {
			t.Errorf("%s: the drawing is broken:\n%s", tt.name, c.SVG)
		}
	}
}

// TestColours finds no colour that is not a variable of the page.
func TestColours(t *testing.T) {
	c, err := Curve(report.Curve{Title: "a", X: "x", Y: "y", Series: []report.Series{{Name: "pmem", Points: []report.Point{{X: 0, Y: 1}, {X: 2, Y: 3}}}},
		Marks: []report.Mark{{X: 9, Text: "later"}}})
	if err != nil {
		t.Fatal(err)
	}
	for field := range strings.FieldsFuncSeq(c.SVG, func(r rune) bool { return strings.ContainsRune(`";'=`, r) }) {
		if value, ok := strings.CutPrefix(field, "fill:#"); ok {
			t.Errorf("fill #%s", value)
		}
		if value, ok := strings.CutPrefix(field, "stroke:#"); ok {
			t.Errorf("stroke #%s", value)
		}
	}
	if len(c.Notes) != 1 || c.Notes[0] != "1: later (9 x)" {
		t.Errorf("notes %q", c.Notes)
	}
}
