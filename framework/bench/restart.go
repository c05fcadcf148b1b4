package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/report"
)

// Interrupt loads a server and calls disturb when so much of the measured time
// has passed. It returns when both have ended, with when disturb was called.
func (c *Clients) Interrupt(ctx context.Context, o load.Options, after time.Duration, disturb func(context.Context) error) (r load.Result, at time.Time, err error) {
	if err := c.prepare(ctx, o); err != nil {
		return load.Result{}, time.Time{}, err
	}
	ended := make(chan error, 1)
	go func() {
		timer := time.NewTimer(o.WarmUp + after)
		defer timer.Stop()
		select {
		case at = <-timer.C:
			ended <- disturb(ctx)
		case <-ctx.Done():
			ended <- context.Cause(ctx)
		}
	}()
	r, err = c.measure(ctx, o)
	return r, at, errors.Join(err, <-ended)
}

// Dip is what a disturbance does to a rate.
type Dip struct {
	Before  float64       // a second, median before the disturbance
	Outage  time.Duration // longest time without any
	Back    time.Duration // from the disturbance until the rate was back after the outage; 0: it was never lower
	Regains bool          // it was back before the end
}

// back is the share of the rate before at which it counts as back, in the mean
// over backOver.
const (
	back     = 0.9
	backOver = time.Second
)

// FindDip looks for the dip that began when the disturbance was after, since
// the first tick. The precision is that of the ticks.
func FindDip(ticks []int64, tick, after time.Duration) Dip {
	n := min(int(after/tick), len(ticks))
	d := Dip{Before: perSecond(ticks[:n], tick)}
	idle, from := 0, n // from: the end of the outage
	for i, count := range ticks[n:] {
		if idle++; count > 0 {
			idle = 0
		}
		if length := time.Duration(idle) * tick; length > d.Outage {
			d.Outage, from = length, n+i+1
		}
	}
	// Without an outage the rate has to fall before it can be back.
	low := d.Outage > 0
	width := max(int(backOver/tick), 1)
	for i := from; i+width <= len(ticks); i++ {
		var sum int64
		for _, count := range ticks[i : i+width] {
			sum += count
		}
		enough := float64(sum)/backOver.Seconds() >= back*d.Before
		if low && enough {
			d.Back, low = time.Duration(i-n)*tick, false
			break
		}
		low = low || !enough
	}
	d.Regains = !low
	return d
}

// perSecond is the median of ticks; of an even number the lower.
func perSecond(ticks []int64, tick time.Duration) float64 {
	if len(ticks) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(ticks))
	return float64(sorted[(len(sorted)-1)/2]) / tick.Seconds()
}

// String is the dip in words.
func (d Dip) String() string {
	text := fmt.Sprintf("no answer for %s, ", d.Outage)
	if !d.Regains {
		return text + fmt.Sprintf("and the rate of %.0f/s did not come back", d.Before)
	}
	return text + fmt.Sprintf("%.0f %% of %.0f/s again after %s", 100*back, d.Before, d.Back)
}

// Marks are those of a dip that began when after of the time had passed.
func (d Dip) Marks(name string, after time.Duration) []report.Mark {
	marks := []report.Mark{{X: after.Seconds(), Text: name + ": pod deleted"}}
	if d.Regains {
		marks = append(marks, report.Mark{X: (after + d.Back).Seconds(), Text: name + ": back"})
	}
	return marks
}

// curveStep is the distance of the points of a time line.
const curveStep = 500 * time.Millisecond

// TimeLine is the rate over the time since the first tick.
func TimeLine(name string, ticks []int64, tick time.Duration) report.Series {
	s := report.Series{Name: name}
	per := max(int(curveStep/tick), 1)
	for i := 0; i+per <= len(ticks); i += per {
		var sum int64
		for _, count := range ticks[i : i+per] {
			sum += count
		}
		s.Points = append(s.Points, report.Point{
			X: (time.Duration(i) * tick).Seconds(), Y: float64(sum) / (time.Duration(per) * tick).Seconds()})
	}
	return s
}
