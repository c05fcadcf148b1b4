package bench

import (
	"context"
	"fmt"

	"pmem-memcached-e2e/framework/load"
)

// Subject is a memcached that is measured.
type Subject struct {
	Name string // such as pmem
	Addr string // host:port, as the clients reach it
}

// Measured is what was measured on a subject: one result for each sample.
type Measured struct {
	Subject Subject       `json:"-"`
	Name    string        `json:"name"`
	Closed  []load.Result `json:"closed"` // as much as goes
	Open    []load.Result `json:"open"`   // at a rate that both subjects bear, where latency means something
}

// Pairs are samples of two subjects, taken in turns, so that whatever else
// changes with time changes both.
type Pairs struct {
	Scenario string      `json:"scenario"`
	Rate     float64     `json:"rate"` // of the open loop, requests a second
	Measured [2]Measured `json:"measured"`
}

// openShare of what the slower subject bore in a first closed loop is the rate
// of the open one.
const openShare = 0.5

// Plan says how a scenario is measured.
type Plan struct {
	Pairs int
	// Open adds an open loop to each sample.
	Open bool
	// Observe gets the progress; it may be nil.
	Observe func(text string)
}

// Measure takes n pairs of samples of a scenario. The subject that comes first
// alternates. With one subject its samples have no counterpart.
func (c *Clients) Measure(ctx context.Context, s Scenario, subjects []Subject, plan Plan) (Pairs, error) {
	p := Pairs{Scenario: s.Name}
	say := plan.Observe
	if say == nil {
		say = func(string) {}
	}
	for i, subject := range subjects {
		p.Measured[i].Subject, p.Measured[i].Name = subject, subject.Name
		say(fmt.Sprintf("%s: store the keys, %s", s.Name, subject.Name))
		if _, err := c.Load(ctx, s.storing(subject.Addr)); err != nil {
			return p, fmt.Errorf("%s on %s: %w", s.Name, subject.Name, err)
		}
	}
	for n := range plan.Pairs {
		say(fmt.Sprintf("%s: pair %d of %d", s.Name, n+1, plan.Pairs))
		for _, i := range turn(n, len(subjects)) {
			r, err := c.Load(ctx, s.measuring(subjects[i].Addr, 0))
			if err != nil {
				return p, fmt.Errorf("%s on %s: %w", s.Name, subjects[i].Name, err)
			}
			p.Measured[i].Closed = append(p.Measured[i].Closed, r)
		}
		if !plan.Open {
			continue
		}
		if n == 0 {
			p.Rate = openShare * slowest(p.Measured[:len(subjects)])
		}
		for _, i := range turn(n, len(subjects)) {
			r, err := c.Load(ctx, s.measuring(subjects[i].Addr, p.Rate))
			if err != nil {
				return p, fmt.Errorf("%s on %s at %.0f/s: %w", s.Name, subjects[i].Name, p.Rate, err)
			}
			p.Measured[i].Open = append(p.Measured[i].Open, r)
		}
	}
	return p, nil
}

// turn is the order of subjects in pair n: 0 1, 1 0, 0 1, ...
func turn(n, subjects int) []int {
	switch {
	case subjects == 1:
		return []int{0}
	case n%2 == 0:
		return []int{0, 1}
	}
	return []int{1, 0}
}

func slowest(measured []Measured) float64 {
	rate := measured[0].Closed[0].PerSecond()
	for _, m := range measured[1:] {
		rate = min(rate, m.Closed[0].PerSecond())
	}
	return rate
}
