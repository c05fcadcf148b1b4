package load

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Merge adds up the results of clients that loaded a server at the same time,
// histograms without loss. Every client must have measured for as long.
func Merge(results []Result) (Result, error) {
	if len(results) == 0 {
		return Result{}, errors.New("merge results: there are none")
	}
	sum := results[0]
	sum.Get, sum.Set, sum.Delete, sum.Late = merged(sum.Get), merged(sum.Set), merged(sum.Delete), merged(sum.Late)
	sum.Ticks, sum.HitTicks = slices.Clone(sum.Ticks), slices.Clone(sum.HitTicks)
	sum.Outages, sum.Complaints = slices.Clone(sum.Outages), slices.Clone(sum.Complaints)
	sum.Invalid, sum.Notes = slices.Clone(sum.Invalid), slices.Clone(sum.Notes)
	for i, r := range results[1:] {
		if r.Elapsed != sum.Elapsed || r.Tick != sum.Tick || len(r.Ticks) != len(sum.Ticks) || len(r.HitTicks) != len(sum.HitTicks) {
			return Result{}, fmt.Errorf("merge results: that of client %d is about %s in ticks of %s, that of the first about %s in ticks of %s",
				i+1, r.Elapsed, r.Tick, sum.Elapsed, sum.Tick)
		}
		sum.add(r)
	}
	sum.Unsteady = unsteady(sum.Ticks[:len(sum.Ticks)-1], sum.Tick)
	return sum, nil
}

func (r *Result) add(o Result) {
	r.Options.Connections += o.Options.Connections
	r.Options.Threads += o.Options.Threads
	r.Options.Rate += o.Options.Rate
	r.Get, r.Set, r.Delete, r.Late = merged(r.Get, o.Get), merged(r.Set, o.Set), merged(r.Delete, o.Delete), merged(r.Late, o.Late)
	for i := range r.Ticks {
		r.Ticks[i] += o.Ticks[i]
		r.HitTicks[i] += o.HitTicks[i]
	}
	r.Hits += o.Hits
	r.Misses += o.Misses
	r.Received += o.Received
	r.Wrong += o.Wrong
	r.Errors += o.Errors
	r.Unsent += o.Unsent
	r.Lost += o.Lost
	r.ClientCPU += o.ClientCPU
	// All have asked the same server.
	if r.ServerCPUUnknown != "" {
		r.ServerCPU, r.ServerCPUUnknown = o.ServerCPU, o.ServerCPUUnknown
	}
	r.Outages = append(r.Outages, o.Outages...)
	r.Complaints = append(r.Complaints, o.Complaints...)
	r.Complaints = r.Complaints[:min(len(r.Complaints), complaints)]
	r.Invalid, r.Notes = union(r.Invalid, o.Invalid), union(r.Notes, o.Notes)
	r.WarmUpUnsteady = cmp.Or(r.WarmUpUnsteady, o.WarmUpUnsteady)
	if o.ClockStep.Abs() > r.ClockStep.Abs() {
		r.ClockStep = o.ClockStep
	}
}

func union(a, b []string) []string {
	for _, text := range b {
		if !slices.Contains(a, text) {
			a = append(a, text)
		}
	}
	return a
}
