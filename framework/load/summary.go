package load

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Summary is what r has found besides latencies, in lines.
func (r Result) Summary() []string {
	o := r.Options
	mode := fmt.Sprintf("closed loop, depth %d", o.Depth)
	if o.Rate > 0 {
		mode = fmt.Sprintf("open loop, %s arrivals, %.0f/s wanted", o.Arrivals, o.Rate)
	}
	lines := []string{
		fmt.Sprintf("%.0f requests/s: %d in %s, %s protocol, %s, %d connections, %d threads, values of %s bytes, keys %s of %d",
			r.PerSecond(), r.Answered(), r.Elapsed, o.Protocol, mode, o.Connections, o.Threads, o.Values, o.Popular, o.Keys),
		fmt.Sprintf("hits %d, misses %d, wrong %d, errors %d, unsent %d, connections lost %d; processor time of a request: client %.2f µs, server %s",
			r.Hits, r.Misses, r.Wrong, r.Errors, r.Unsent, r.Lost, float64(r.CPUPerRequest().Nanoseconds())/1000, r.serverCPU()),
	}
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if o.SteadyWithin > 0 {
		word := "it was steady then"
		if r.WarmUpUnsteady != "" {
			word = "not steady then: " + r.WarmUpUnsteady
		}
		add("warm-up: %s, %s", r.WarmUp.Round(time.Millisecond), word)
	}
	if r.Unsteady != "" {
		add("unsteady: %s", r.Unsteady)
	}
	if r.ClockStep != 0 {
		add("the wall clock was set by %s during the run; latencies do not depend on it", r.ClockStep)
	}
	for _, outage := range r.Outages {
		add("outage: %s until the next answer", outage.Round(time.Millisecond))
	}
	lines = append(append(lines, r.Notes...), r.Complaints...)
	for _, text := range r.Invalid {
		add("INVALID: %s", text)
	}
	return lines
}

var shownPercentiles = []float64{50, 90, 99, 99.9, 99.99}

// Latencies is a table with a head, and a row for each kind of request. Late is
// from the time at which a request was to be sent to the sending.
func (r Result) Latencies() (head []string, rows [][]string) {
	head = []string{"request", "count"}
	for _, p := range shownPercentiles {
		head = append(head, fmt.Sprintf("p%g", p))
	}
	head = append(head, "max")
	for _, k := range append(r.kinds(), kind{"late", r.Late}) {
		row := []string{k.name, strconv.FormatInt(k.h.TotalCount(), 10)}
		for _, p := range shownPercentiles {
			row = append(row, latency(k.h.ValueAtPercentile(p)))
		}
		rows = append(rows, append(row, latency(k.h.Max())))
	}
	return head, rows
}

// latency has three digits, as the histograms do.
func latency(microseconds int64) string {
	d, unit := time.Duration(microseconds)*time.Microsecond, time.Microsecond
	for d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit).String()
}

// String is the summary with the latencies below it.
func (r Result) String() string {
	head, rows := r.Latencies()
	var b strings.Builder
	b.WriteString(strings.Join(r.Summary(), "\n") + "\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range append([][]string{head}, rows...) {
		fmt.Fprintln(w, strings.Join(row, "\t")+"\t")
	}
	_ = w.Flush() // to memory
	return strings.TrimSuffix(b.String(), "\n")
}
