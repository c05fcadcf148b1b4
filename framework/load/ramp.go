package load

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Ramp says what FindRate looks for.
type Ramp struct {
	Percent   float64       // of the latency of gets and sets together, such as 99
	Limit     time.Duration // that this percentile must not exceed
	From, To  float64       // requests a second
	Precision float64       // ratio of the rates at which the search ends, such as 1.05
}

// Validate returns a *FieldError for what makes no sense.
func (r Ramp) Validate() error {
	refuse := func(field string, value any, remedy string) error {
		return &FieldError{field, fmt.Sprint(value), remedy}
	}
	switch {
	case !(r.Percent > 0 && r.Percent <= 100):
		return refuse("Percent", r.Percent, "give more than 0, up to 100")
	case r.Limit < 10*time.Microsecond:
		return refuse("Limit", r.Limit, "give 10µs or more")
	case !(r.From >= 1 && r.To > r.From && r.To <= 1e8):
		return refuse("From:To", fmt.Sprintf("%g:%g", r.From, r.To), "give rising rates from 1 to 1e8")
	case !(r.Precision > 1 && r.Precision <= 2):
		return refuse("Precision", r.Precision, "give a ratio above 1, up to 2")
	}
	return nil
}

// Try is one rate that was tried.
type Try struct {
	Rate    float64
	Latency time.Duration // at the percentile of the ramp
	Held    bool
	Why     string // it did not hold
	Result  Result
}

// Runner carries out a load, as Run does.
type Runner func(context.Context, Options) (Result, error)

// FindRate searches for the highest rate of an open loop, carried out by run, at
// which the latency stays under the limit, no answer is wrong and no request fails. It halves the
// distance of the logarithms. The tries are returned in their order; a rate
// below From was not looked for, and 0 is returned then. observe may be nil.
func FindRate(ctx context.Context, run Runner, o Options, ramp Ramp, observe func(Try)) (float64, []Try, error) {
	if err := ramp.Validate(); err != nil {
		return 0, nil, err
	}
	var tries []Try
	low, high := ramp.From, ramp.To
	for _, end := range []float64{low, high} {
		t, err := ramp.try(ctx, run, o, end, observe)
		if err != nil {
			return 0, tries, err
		}
		tries = append(tries, t)
		if t.Held == (end == high) { // the lowest is too much, or the highest is not
			if t.Held {
				return high, tries, nil
			}
			return 0, tries, nil
		}
	}
	rate, more, err := Bisect(ctx, run, o, ramp, low, high, observe)
	return rate, append(tries, more...), err
}

// Bisect is FindRate between a rate that holds and one that does not.
func Bisect(ctx context.Context, run Runner, o Options, ramp Ramp, low, high float64, observe func(Try)) (float64, []Try, error) {
	var tries []Try
	for high/low > ramp.Precision {
		middle := math.Sqrt(low * high)
		t, err := ramp.try(ctx, run, o, middle, observe)
		if err != nil {
			return 0, tries, err
		}
		tries = append(tries, t)
		if t.Held {
			low = middle
		} else {
			high = middle
		}
	}
	return low, tries, nil
}

func (ramp Ramp) try(ctx context.Context, run Runner, o Options, rate float64, observe func(Try)) (Try, error) {
	o.Rate = rate
	r, err := run(ctx, o)
	if err != nil {
		return Try{}, fmt.Errorf("at %.0f/s: %w", rate, err)
	}
	t := ramp.Judge(rate, r)
	if observe != nil {
		observe(t)
	}
	return t, nil
}

// Judge says whether the result of a load at a rate is within the limit.
func (ramp Ramp) Judge(rate float64, r Result) Try {
	all := r.All()
	t := Try{Rate: rate, Latency: time.Duration(all.ValueAtPercentile(ramp.Percent)) * time.Microsecond, Result: r}
	switch {
	case r.Wrong > 0 || r.Errors > 0:
		t.Why = fmt.Sprintf("%d wrong answers, %d errors", r.Wrong, r.Errors)
	case len(r.Invalid) > 0:
		t.Why = r.Invalid[0]
	case t.Latency > ramp.Limit:
		t.Why = fmt.Sprintf("p%g is %s, above %s", ramp.Percent, t.Latency, ramp.Limit)
	default:
		t.Held = true
	}
	return t
}
