package load

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// What counts as steady.
const (
	mayDrift   = 0.10 // of the throughput of the first third to the last
	mayVary    = 0.10 // relative median deviation from tick to tick
	tickCounts = 10   // answers, at least, that a tick must have on the average; else ticks are put together
	ticksMin   = 9    // fewer show nothing
)

// unsteady says why the throughput that the ticks show was not steady; it is
// empty when it was. The first third of the ticks is compared with the last by
// the mean of the middle half of each, and the variation is the median distance
// from the median, so that a short disturbance leaves no trace, except a gap of
// two ticks or more without any answer. Both limits give way to what counting
// alone would show, were the answers independent: to five times the standard
// deviation of the difference, and to twice the median deviation of a Poisson
// distribution.
func unsteady(ticks []int64, every time.Duration) string {
	var sum int64
	for _, n := range ticks {
		sum += n
	}
	if sum == 0 {
		return "nothing was answered"
	}
	together := max(int(math.Ceil(tickCounts*float64(len(ticks))/float64(sum))), 1)
	every *= time.Duration(together)
	counts := make([]float64, len(ticks)/together)
	for i := range counts {
		for _, n := range ticks[i*together : (i+1)*together] {
			counts[i] += float64(n)
		}
	}
	third := len(counts) / 3
	if len(counts) < ticksMin {
		return fmt.Sprintf("it was too short to tell: %d ticks of %s with %d answers or more, want %d", len(counts), every, tickCounts, ticksMin)
	}
	if gap, at := longestGap(counts); gap >= 2 {
		return fmt.Sprintf("nothing was answered for %s from %s on", time.Duration(gap)*every, time.Duration(at)*every)
	}
	middle := middleOf(counts)
	if middle == 0 {
		return "nothing was answered for more than half of the time"
	}
	deviations := make([]float64, len(counts))
	for i, n := range counts {
		deviations[i] = math.Abs(n - middle)
	}
	vary := middleOf(deviations) / middle
	first, last := middleHalf(counts[:third]), middleHalf(counts[len(counts)-third:])
	drift := last/max(first, 1) - 1
	switch {
	case math.Abs(drift) > max(mayDrift, vary/2, 7/math.Sqrt(middle*float64(third))):
		word := "rose"
		if drift < 0 {
			word = "fell"
		}
		return fmt.Sprintf("throughput %s by %.0f %% from the first third to the last", word, 100*math.Abs(drift))
	case vary > max(mayVary, 2*0.6745/math.Sqrt(middle)):
		return fmt.Sprintf("throughput varied by %.0f %% (relative median deviation) from tick to tick of %s", 100*vary, every)
	}
	return ""
}

// middleOf is the median.
func middleOf(v []float64) float64 {
	sorted := slices.SortedFunc(slices.Values(v), cmp.Compare)
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// middleHalf is the mean of what lies between the quartiles.
func middleHalf(v []float64) float64 {
	sorted := slices.SortedFunc(slices.Values(v), cmp.Compare)
	cut := len(sorted) / 4
	var sum float64
	for _, n := range sorted[cut : len(sorted)-cut] {
		sum += n
	}
	return sum / float64(len(sorted)-2*cut)
}

// longestGap is a run of ticks without answers, and where it begins.
func longestGap(counts []float64) (ticks, at int) {
	run := 0
	for i, n := range counts {
		if run++; n > 0 {
			run = 0
		}
		if run > ticks {
			ticks, at = run, i+1-run
		}
	}
	return ticks, at
}
