package bench

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"pmem-memcached-e2e/framework/load"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// slowed is a server behind a proxy that hands on each piece of an answer only
// after d.
func slowed(t *testing.T, addr string, d time.Duration) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", addr)
			if err != nil {
				_ = near.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(far, near)
				_ = far.Close()
			}()
			go func() {
				_, _ = io.Copy(delaying{near, d}, far)
				_ = near.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

type delaying struct {
	io.Writer
	d time.Duration
}

func (w delaying) Write(p []byte) (int, error) {
	<-time.After(w.d)
	return w.Writer.Write(p)
}

func quick() Scenario {
	s := GetHeavy(100 * time.Millisecond)
	s.Load.Connections, s.Load.Keys, s.Load.Timeout = 4, 200, 5*time.Second
	return s
}

// TestSlowerSubjectIsFound compares a server with itself behind a proxy that
// makes it slower by far more than machines vary.
func TestSlowerSubjectIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: run it without -short")
	}
	c, err := together(t, here)
	if err != nil {
		t.Fatal(err)
	}
	addr := server(t)
	s := quick()
	subjects := []Subject{{"pmem", slowed(t, addr, 50*time.Millisecond)}, {"dram", addr}}
	// With nine pairs the interval tolerates one that something else has disturbed.
	const pairs = 9
	p, err := c.Measure(t.Context(), s, subjects, Plan{Pairs: pairs, Open: true})
	if err != nil {
		t.Fatal(err)
	}
	b := p.Benchmark(s)
	if p.Faults() != "" || len(b.Samples) != pairs || len(b.Control.Samples) != pairs || len(b.Comparisons) < 3 || b.Operations == 0 {
		t.Fatalf("%s: %+v", p.Faults(), b)
	}
	throughput, p50 := b.Comparisons[0], b.Comparisons[1]
	if throughput.Metric != Throughput || throughput.High >= 1 || throughput.Confidence < Confidence || throughput.Pairs != pairs {
		t.Errorf("a slower server: %+v", throughput)
	}
	if p50.Metric != "p50" || p50.Low <= 1 {
		t.Errorf("its latency: %+v", p50)
	}
	want := p.Rate * 1.5
	for _, r := range p.Measured[1].Open {
		if r.Options.Rate != p.Rate || r.PerSecond() > want {
			t.Errorf("the open loop had %.0f/s, want %.0f/s for both", r.PerSecond(), p.Rate)
		}
	}
}

func TestMeasureWithoutControl(t *testing.T) {
	c, err := together(t, here)
	if err != nil {
		t.Fatal(err)
	}
	var reported []string
	s := quick()
	p, err := c.Measure(t.Context(), s, []Subject{{"pmem", server(t)}}, Plan{Pairs: 2, Observe: func(text string) { reported = append(reported, text) }})
	if err != nil {
		t.Fatal(err)
	}
	b := p.Benchmark(s)
	if b.Control != nil || len(b.Comparisons) != 0 || len(b.Samples) != 2 || b.Latencies[0].Request != "get" || len(b.Latencies[0].Percentiles) != len(percentiles) {
		t.Errorf("%+v", b)
	}
	if !slices.Contains(reported, "get-heavy: pair 2 of 2") {
		t.Errorf("reported %q", reported)
	}
	_, err = c.Measure(t.Context(), s, []Subject{{"pmem", "127.0.0.1:1"}}, Plan{Pairs: 1})
	if err == nil || !strings.Contains(err.Error(), "get-heavy on pmem: ") {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestCompare(t *testing.T) {
	for name, test := range map[string]struct {
		ratios      []float64
		low, high   float64
		confidently bool
	}{
		"slower":    {[]float64{0.8, 0.81, 0.79, 0.82, 0.78, 0.8, 0.81}, 0.78, 0.82, true},
		"the same":  {[]float64{0.97, 1.01, 1.03, 0.99, 1.02, 0.98}, 0.97, 1.03, true},
		"few pairs": {[]float64{0.5, 0.6}, 0.5, 0.6, false},
		"one":       {[]float64{0.5}, 0.5, 0.5, false},
	} {
		c := compare("x", "higher", test.ratios)
		if c.Low != test.low || c.High != test.high || (c.Confidence >= Confidence) != test.confidently || c.Pairs != len(test.ratios) {
			t.Errorf("%s: %+v", name, c)
		}
		if c.Ratio < c.Low || c.Ratio > c.High || math.IsNaN(c.Ratio) {
			t.Errorf("%s: the median lies outside: %+v", name, c)
		}
	}
}

// TestScenariosFit stores the keys of all scenarios but the last next to each
// other in the smallest cache of the lab.
func TestScenariosFit(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: run it without -short")
	}
	c, err := together(t, here)
	if err != nil {
		t.Fatal(err)
	}
	const limit = 64 << 20 // of the server's default
	addr := server(t)
	all := Scenarios(limit, 50*time.Millisecond)
	names := map[string]bool{}
	for _, s := range all {
		p, err := c.Measure(t.Context(), s, []Subject{{"pmem", addr}}, Plan{Pairs: 1})
		if err != nil || p.Faults() != "" {
			t.Errorf("%s: %v %s", s.Name, err, p.Faults())
			continue
		}
		r := p.Measured[0].Closed[0]
		hits := float64(r.Hits) / float64(max(r.Hits+r.Misses, 1))
		switch s.Name {
		case "mostly-miss":
			if hits < 0.05 || hits > 0.15 {
				t.Errorf("%s: %.2f of the gets found something", s.Name, hits)
			}
		case "churn":
			if hits > 0.8 || s.Load.Keys*churnValue < churnShare*limit*9/10 {
				t.Errorf("%s: nothing is evicted: %.2f of the gets found something", s.Name, hits)
			}
		default:
			if r.Misses > 0 {
				t.Errorf("%s: %d misses", s.Name, r.Misses)
			}
		}
		names[s.Name] = true
	}
	if len(names) != len(all) {
		t.Errorf("the scenarios have only the names %v", names)
	}
}

func TestInterrupt(t *testing.T) {
	c, err := together(t, here)
	if err != nil {
		t.Fatal(err)
	}
	o := options(server(t))
	broken := errors.New("the pod is gone")
	began := time.Now()
	r, at, err := c.Interrupt(t.Context(), o, 100*time.Millisecond, func(context.Context) error { return broken })
	if !errors.Is(err, broken) || r.Answered() == 0 || at.Sub(began) < 100*time.Millisecond {
		t.Errorf("%v after %s: %s", err, at.Sub(began), r)
	}
	o.Addr = "127.0.0.1:1"
	if _, _, err := c.Interrupt(t.Context(), o, 0, func(context.Context) error { return broken }); err == nil || errors.Is(err, broken) {
		t.Errorf("the load did not begin, and was disturbed: %v", err)
	}
}

func TestFindDip(t *testing.T) {
	const tick = 100 * time.Millisecond
	// line has so many ticks of each rate.
	line := func(parts ...[2]int64) []int64 {
		var ticks []int64
		for _, part := range parts {
			ticks = append(ticks, slices.Repeat([]int64{part[1]}, int(part[0]))...)
		}
		return ticks
	}
	for name, test := range map[string]struct {
		ticks []int64
		want  Dip
	}{
		"none":         {line([2]int64{50, 100}), Dip{Before: 1000, Regains: true}},
		"an outage":    {line([2]int64{20, 100}, [2]int64{15, 0}, [2]int64{40, 100}), Dip{1000, 1500 * time.Millisecond, 1500 * time.Millisecond, true}},
		"slow at last": {line([2]int64{20, 100}, [2]int64{5, 0}, [2]int64{20, 40}, [2]int64{40, 100}), Dip{1000, 500 * time.Millisecond, 2400 * time.Millisecond, true}},
		"noise later":  {line([2]int64{20, 100}, [2]int64{15, 0}, [2]int64{20, 100}, [2]int64{9, 40}, [2]int64{11, 100}), Dip{1000, 1500 * time.Millisecond, 1500 * time.Millisecond, true}},
		"low before":   {line([2]int64{20, 100}, [2]int64{5, 50}, [2]int64{5, 100}, [2]int64{15, 0}, [2]int64{20, 100}), Dip{1000, 1500 * time.Millisecond, 2500 * time.Millisecond, true}},
		"only slower":  {line([2]int64{20, 100}, [2]int64{10, 50}, [2]int64{20, 100}), Dip{1000, 0, 800 * time.Millisecond, true}},
		"never back":   {line([2]int64{20, 100}, [2]int64{30, 0}), Dip{1000, 3 * time.Second, 0, false}},
	} {
		if got := FindDip(test.ticks, tick, 2*time.Second); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
	if got := FindDip(nil, tick, 2*time.Second); got.Before != 0 {
		t.Errorf("nothing measured: %+v", got)
	}
	s := TimeLine("answers", line([2]int64{10, 100}, [2]int64{4, 7}), tick)
	if len(s.Points) != 2 || s.Points[1].X != 0.5 || s.Points[1].Y != 1000 {
		t.Errorf("%+v", s)
	}
}

// A subject that answers nothing in one of the samples is slower, and not unknown.
func TestNothingAnswered(t *testing.T) {
	sample := func(requests ...int64) []load.Result {
		var results []load.Result
		for _, n := range requests {
			h := hdrhistogram.New(1, 1000, 3)
			if err := h.RecordValues(10, n); err != nil {
				t.Fatal(err)
			}
			empty := load.Histogram{Histogram: hdrhistogram.New(1, 1000, 3)}
			results = append(results, load.Result{Elapsed: time.Second, Get: load.Histogram{Histogram: h}, Set: empty, Delete: empty, ServerCPUUnknown: "x"})
		}
		return results
	}
	p := Pairs{Measured: [2]Measured{{Closed: sample(5, 0, 5)}, {Closed: sample(10, 10, 10)}}}
	if c := p.Compare(); len(c) != 1 || c[0].Metric != Throughput || c[0].Ratio != 0.5 || c[0].Low != 0 || c[0].High != 0.5 {
		t.Errorf("of the subject: %+v", c)
	}
	p.Measured[1].Closed[1] = sample(0)[0]
	if c := p.Compare(); len(c) != 0 {
		t.Errorf("of the control: %+v, want no ratio", c)
	}
}
