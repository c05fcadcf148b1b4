// Package wait looks for a state until a limit, by polling or after changes, and reports what was awaited and what was last seen.
package wait

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	defaultInterval = 250 * time.Millisecond

	// rarer is how much longer the interval is while changes are reported, for what they are not about.
	rarer = 8
	// burst is how long to wait after a change for those that come with it.
	burst = 50 * time.Millisecond
)

// hung is how long a probe that the limit has cut short must have run to count
// as one without an answer.
const hung = 10 * time.Second

// A Record describes a wait.
type Record struct {
	Name  Name          `yaml:"name"`
	What  string        `yaml:"what"`
	Took  time.Duration `yaml:"took"`
	Limit time.Duration `yaml:"limit"` // after scaling
	Done  bool          `yaml:"done"`
	Last  string        `yaml:"last"` // the last state seen
}

// A Waiter holds what all waits of a run have in common. The zero value is ready for use.
type Waiter struct {
	Scale    Scale
	Interval time.Duration // between the end of one probe and the start of the next; 0 means 250 ms
	// Changes starts to report changes of what is looked at, until its context ends; then a probe follows each change,
	// and more rarely others do. A channel that is closed reports no more, and Interval holds.
	Changes func(context.Context) <-chan struct{}
	Limits  map[Name]time.Duration // in place of the default ones
	Final   func(error) bool       // whether an error of a probe ends a wait as one by Stop does; nil: none
	Begin   func(Record)           // called at the start of every wait, if set
	Observe func(Record)           // called at the end of every wait, if set
}

// A TimeoutError reports that the awaited state was not reached within the limit.
type TimeoutError struct {
	What  string
	Limit time.Duration
	Last  string
	Err   error // of the last probe; nil if it has seen a state
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("waited %s for %s: last seen %s", e.Limit, e.What, orNothing(e.Last))
}

// Unwrap returns the error of the last probe.
func (e *TimeoutError) Unwrap() error { return e.Err }

// A StoppedError reports that a probe found that the awaited state can no longer be reached.
type StoppedError struct {
	What  string
	After time.Duration
	Err   error
}

func (e *StoppedError) Error() string {
	return fmt.Sprintf("waiting for %s ended after %s: %v", e.What, round(e.After), e.Err)
}

func (e *StoppedError) Unwrap() error { return e.Err }

// An InterruptedError reports that the context ended before the state was reached. It says nothing
// about what was awaited.
type InterruptedError struct {
	What  string
	After time.Duration
	Last  string
	Err   error // the cause
}

func (e *InterruptedError) Error() string {
	return fmt.Sprintf("waiting for %s was interrupted after %s: %v; last seen %s", e.What, round(e.After), e.Err, orNothing(e.Last))
}

func (e *InterruptedError) Unwrap() error { return e.Err }

type stop struct{ err error }

func (s *stop) Error() string { return s.err.Error() }
func (s *stop) Unwrap() error { return s.err }

// Stop marks err as final: a probe that returns it ends the wait at once.
// Stop of nil is nil.
func Stop(err error) error {
	if err == nil {
		return nil
	}
	return &stop{err}
}

// Until calls probe until it reports done, and at least once. The context of the probe ends with
// the limit of the wait's name. The string returned by probe is a one-line description of the state; an error
// is remembered as the last state seen, and the probe is tried again, unless it was made by Stop or is Final.
//
// The error is a *TimeoutError when the limit passed, a *StoppedError when probe ended the wait,
// and an *InterruptedError when ctx ended first.
func (w Waiter) Until(ctx context.Context, name Name, what string, probe func(context.Context) (done bool, seen string, err error)) error {
	limit, err := w.Limit(name)
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", what, err)
	}
	interval := w.Interval
	if interval <= 0 {
		interval = defaultInterval
	}

	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	if w.Begin != nil {
		w.Begin(Record{Name: name, What: what, Limit: limit})
	}
	last, lastErr := "", error(nil)
	finish := func(done bool, err error) error {
		if w.Observe != nil {
			w.Observe(Record{Name: name, What: what, Took: time.Since(start), Limit: limit, Done: done, Last: last})
		}
		return err
	}
	var changes <-chan struct{}
	if w.Changes != nil {
		changes = w.Changes(limited)
	}
	pause := time.NewTimer(interval)
	defer pause.Stop()
	for {
		began := time.Now()
		done, seen, err := probe(limited)
		var final *stop
		switch {
		case errors.As(err, &final), err != nil && w.Final != nil && w.Final(err):
			if final == nil {
				final = &stop{err}
			}
			last = final.Error()
			return finish(false, &StoppedError{What: what, After: time.Since(start), Err: final.err})
		case err == nil && done:
			last = seen
			return finish(true, nil)
		case limited.Err() == nil || last == "":
			// A probe cut short by the limit says less about the object than the one before it.
			last, lastErr = describe(seen, err), err
		case time.Since(began) > hung:
			lastErr = err
		}

		changes = await(limited, pause, interval, changes)
		if limited.Err() != nil {
			if ctx.Err() != nil {
				return finish(false, &InterruptedError{What: what, After: time.Since(start), Last: last, Err: context.Cause(ctx)})
			}
			return finish(false, &TimeoutError{What: what, Limit: limit, Last: last, Err: lastErr})
		}
	}
}

// await waits for the time of the next probe, or the end of ctx. It returns changes, or nil when they have ended.
func await(ctx context.Context, pause *time.Timer, interval time.Duration, changes <-chan struct{}) <-chan struct{} {
	if changes == nil {
		pause.Reset(interval)
	} else {
		pause.Reset(rarer * interval)
	}
	select {
	case <-ctx.Done():
	case <-pause.C:
	case _, more := <-changes:
		if !more {
			changes = nil
		}
		pause.Reset(min(burst, interval))
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
	}
	return changes
}

// Limit is the longest time that a wait of that name may take.
func (w Waiter) Limit(name Name) (time.Duration, error) {
	limit, ok := w.Limits[name]
	if !ok {
		limit, _ = Default(name)
	}
	if limit <= 0 {
		return 0, fmt.Errorf("%q has no limit; name it in package wait", name)
	}
	return time.Duration(float64(limit) * w.Scale.Of(name)), nil
}

func describe(seen string, err error) string {
	switch {
	case err == nil:
		return seen
	case seen == "":
		return "error: " + err.Error()
	}
	return seen + "; error: " + err.Error()
}

func orNothing(last string) string {
	if last == "" {
		return "nothing"
	}
	return last
}

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}
