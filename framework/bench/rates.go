package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/report"
)

// Rates are open loops at several rates.
type Rates struct {
	Subject string        `json:"subject"`
	Limit   time.Duration `json:"limit"`   // of the percentile 99
	Highest float64       `json:"highest"` // rate that held the limit; 0: none did
	Tries   []load.Try    `json:"tries"`
}

// p99Limit is what a client that waits for a cache is often promised.
const p99Limit = 10 * time.Millisecond

// rateShares of what the slowest subject handles are tried, so that all have
// points at the same rates.
var rateShares = []float64{0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 1}

// ratePrecision is how close the search gets to the highest rate that holds.
const ratePrecision = 1.05

// Rates measures the latency of subjects at rising rates, and looks for the
// highest at which it stays under a limit. It calls say with how far it is.
func (c *Clients) Rates(ctx context.Context, s Scenario, subjects []Subject, say func(text string)) ([]Rates, error) {
	p, err := c.Measure(ctx, s, subjects, Plan{Pairs: 1, Observe: say})
	if err != nil {
		return nil, err
	}
	ceiling := slowest(p.Measured[:len(subjects)])
	all := make([]Rates, len(subjects))
	ramp := load.Ramp{Percent: 99, Limit: p99Limit, Precision: ratePrecision}
	for i, subject := range subjects {
		all[i] = Rates{Subject: subject.Name, Limit: p99Limit}
	}
	for n, part := range rateShares {
		rate := part * ceiling
		say(fmt.Sprintf("%.0f requests/s", rate))
		for _, i := range turn(n, len(subjects)) {
			r, err := c.Load(ctx, s.measuring(subjects[i].Addr, rate))
			if err != nil {
				return nil, fmt.Errorf("%.0f requests/s on %s: %w", rate, subjects[i].Name, err)
			}
			all[i].Tries = append(all[i].Tries, ramp.Judge(rate, r))
		}
	}
	for i, subject := range subjects {
		say("the highest rate of " + subject.Name)
		if err := c.refine(ctx, s.measuring(subject.Addr, 0), ramp, &all[i]); err != nil {
			return nil, fmt.Errorf("look for the highest rate of %s: %w", subject.Name, err)
		}
	}
	return all, nil
}

// refine searches between the highest rate below which all held and the next.
func (c *Clients) refine(ctx context.Context, o load.Options, ramp load.Ramp, r *Rates) error {
	failed := slices.IndexFunc(r.Tries, func(t load.Try) bool { return !t.Held })
	switch failed {
	case -1:
		r.Highest = r.Tries[len(r.Tries)-1].Rate
		return nil
	case 0:
		return nil
	}
	low, high := r.Tries[failed-1].Rate, r.Tries[failed].Rate
	rate, tries, err := load.Bisect(ctx, c.Load, o, ramp, low, high, nil)
	r.Highest, r.Tries = rate, append(r.Tries, tries...)
	return err
}

// Series is the latency at percentile 99, in milliseconds, by the rate.
func (r Rates) Series() report.Series {
	s := report.Series{Name: r.Subject}
	for _, t := range r.Tries {
		s.Points = append(s.Points, report.Point{X: t.Rate, Y: float64(t.Latency) / float64(time.Millisecond)})
	}
	slices.SortFunc(s.Points, func(a, b report.Point) int { return int(a.X - b.X) })
	return s
}

// Faults says which answers were wrong or missing; empty: none.
func (r Rates) Faults() string {
	var parts []string
	for _, t := range r.Tries {
		parts = append(parts, faults(r.Subject, t.Result)...)
	}
	return strings.Join(parts, "; ")
}

// String names the rate that held.
func (r Rates) String() string {
	if r.Highest == 0 {
		return fmt.Sprintf("%s: p99 is above %s even at %.0f requests/s", r.Subject, r.Limit, r.Tries[0].Rate)
	}
	return fmt.Sprintf("%s: p99 stays below %s up to %.0f requests/s", r.Subject, r.Limit, r.Highest)
}
