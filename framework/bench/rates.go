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
	Setting string        `json:"setting"`
	Limit   time.Duration `json:"limit"`   // of the percentile 99
	Ceiling float64       `json:"ceiling"` // requests a second in a closed loop
	Highest float64       `json:"highest"` // rate that held the limit; 0: none did
	Tries   []load.Try    `json:"tries"`
}

// p99Limit is what a client that waits for a cache is often promised.
const p99Limit = 10 * time.Millisecond

// Shares of the ceiling between which rates are tried, and how close the tries
// get to the highest that holds the limit.
const (
	lowestShare   = 0.05
	ratePrecision = 1.1
)

// Rates looks for the highest rate at which the latency stays under a limit.
func (c *Clients) Rates(ctx context.Context, s Scenario, subject Subject) (Rates, error) {
	r := Rates{Subject: subject.Name, Limit: p99Limit}
	if _, err := c.Load(ctx, s.storing(subject.Addr)); err != nil {
		return r, fmt.Errorf("store the keys: %w", err)
	}
	closed, err := c.Load(ctx, s.measuring(subject.Addr, 0))
	if err != nil {
		return r, fmt.Errorf("find the ceiling: %w", err)
	}
	r.Ceiling = closed.PerSecond()
	r.Setting = s.setting(0)
	ramp := load.Ramp{Percent: 99, Limit: r.Limit, From: max(lowestShare*r.Ceiling, 1), To: max(r.Ceiling, 2), Precision: ratePrecision}
	r.Highest, r.Tries, err = load.FindRate(ctx, c.Load, s.measuring(subject.Addr, 0), ramp, nil)
	return r, err
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

// Trouble says which answers were wrong or missing; empty: none.
func (r Rates) Trouble() string {
	var parts []string
	for _, t := range r.Tries {
		parts = append(parts, trouble(r.Subject, t.Result)...)
	}
	return strings.Join(parts, "; ")
}

// HighestRates names the rate that each subject held.
func HighestRates(all []Rates) string {
	var parts []string
	for _, r := range all {
		held := fmt.Sprintf("%.0f/s", r.Highest)
		if r.Highest == 0 {
			held = fmt.Sprintf("not even %.0f/s", r.Tries[0].Rate)
		}
		parts = append(parts, fmt.Sprintf("%s %s of %.0f/s at most", r.Subject, held, r.Ceiling))
	}
	return strings.Join(parts, ", ")
}
