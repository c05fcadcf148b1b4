package load

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// ticksOf draws counts from the Poisson distribution whose mean is rate(i).
func ticksOf(n int, seed uint64, rate func(i int) float64) []int64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	ticks := make([]int64, n)
	for i := range ticks {
		mean := rate(i)
		if mean > 1000 {
			ticks[i] = int64(max(math.Round(mean+math.Sqrt(mean)*rng.NormFloat64()), 0))
			continue
		}
		for sum := rng.ExpFloat64(); sum < mean; sum += rng.ExpFloat64() {
			ticks[i]++
		}
	}
	return ticks
}

func TestUnsteady(t *testing.T) {
	constant := func(rate float64) func(int) float64 { return func(int) float64 { return rate } }
	slope := func(rate, end float64) func(int) float64 {
		return func(i int) float64 { return rate * (1 + (end-1)*float64(i)/100) }
	}
	zigzag := func(amplitude float64) func(int) float64 {
		return func(i int) float64 { return 10000 * (1 + amplitude*float64(2*(i%2)-1)) }
	}
	gap := func(rate float64, from, to int) func(int) float64 {
		return func(i int) float64 {
			if i >= from && i < to {
				return 0
			}
			return rate
		}
	}
	for name, test := range map[string]struct {
		ticks int
		rate  func(int) float64
		want  string
	}{
		"constant":             {100, constant(10000), ""},
		"slow":                 {100, constant(20), ""},
		"very slow":            {600, constant(0.5), ""},
		"short":                {9, constant(10000), ""},
		"slope of 6 %":         {100, slope(10000, 1.06), ""},
		"falls by 30 %":        {100, slope(10000, 0.7), "throughput fell by 2"},
		"rises by 40 %":        {100, slope(10000, 1.4), "throughput rose by 2"},
		"falls, slow":          {600, func(i int) float64 { return 20 * (1 - float64(i)/800) }, "throughput fell by"},
		"zigzag of 5 %":        {100, zigzag(0.05), ""},
		"zigzag of 25 %":       {100, zigzag(0.25), "throughput varied by 25 % (relative median deviation) from tick to tick of 100ms"},
		"one tick is empty":    {100, gap(10000, 50, 51), ""},
		"stall":                {100, gap(10000, 15, 25), "nothing was answered for 1s from 1.5s on"},
		"stops at the end":     {100, gap(10000, 90, 100), "nothing was answered for 1s from 9s on"},
		"every second tick":    {100, func(i int) float64 { return 10000 * float64(i%2) }, "varied by 100 %"},
		"one tick in three":    {99, func(i int) float64 { return 10000 * float64((i%3)/2) }, "nothing was answered for 200ms from 0s on"},
		"too short":            {8, constant(10000), "it was too short to tell: 8 ticks of 100ms"},
		"too few answers":      {100, constant(0.5), "it was too short to tell"},
		"nothing":              {100, constant(0), "nothing was answered"},
		"starts from nothing":  {100, func(i int) float64 { return float64(i) * 100 }, "throughput rose by"},
		"a third is much less": {99, func(i int) float64 { return 10000 - 4000*float64(i/66) }, "throughput fell by 40 %"},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				got := unsteady(ticksOf(test.ticks, seed, test.rate), 100*time.Millisecond)
				if got != test.want && (test.want == "" || !strings.Contains(got, test.want)) {
					t.Errorf("seed %d: %q, want %q", seed, got, test.want)
				}
			}
		})
	}
}

// TestWarmUpUntilSteady has a server that stands still for the first second.
func TestWarmUpUntilSteady(t *testing.T) {
	notShort(t)
	t.Parallel()
	for name, test := range map[string]struct {
		within time.Duration
		steady bool
	}{"steady": {20 * time.Second, true}, "not within a second": {time.Second, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Default("")
			o.Gets, o.Sets, o.Rate, o.Arrivals, o.WarmUp, o.SteadyWithin, o.Duration = 1, 0, 1000, Constant, 0, test.within, time.Second
			o.Keys = 100
			server := newStandIn(t, o)
			o.Addr = server.addr()
			go func() {
				<-server.asked
				server.stalled.Lock()
				<-time.After(time.Second)
				server.stalled.Unlock()
			}()
			r, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if test.steady && (r.WarmUp < 2500*time.Millisecond || r.WarmUpUnsteady != "" || !strings.Contains(r.String(), "it was steady then")) ||
				!test.steady && (r.WarmUp < time.Second || r.WarmUpUnsteady == "" || !strings.Contains(r.String(), "not steady then: ")) {
				t.Errorf("warm-up of %s, %q: %s", r.WarmUp, r.WarmUpUnsteady, r)
			}
			if n := r.Get.TotalCount(); n < 999 || n > 1001 || r.ServerCPUUnknown == "" { // the beginning is not that of a gap
				t.Errorf("%s", r)
			}
		})
	}
}
