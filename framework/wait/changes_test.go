package wait

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestChanges makes sure that a probe follows a change at once, and that the interval is as ever when changes are not reported.
func TestChanges(t *testing.T) {
	reported := make(chan struct{}, 1)
	var ended context.Context
	w := Waiter{Interval: time.Hour, Changes: func(ctx context.Context) <-chan struct{} {
		ended = ctx
		return reported
	}}
	probes := 0
	err := w.Until(t.Context(), PodRuns, "three looks", func(context.Context) (bool, string, error) {
		probes++
		reported <- struct{}{}
		return probes == 3, fmt.Sprint(probes), nil
	})
	if err != nil || probes != 3 {
		t.Errorf("%d probes, %v, want one after each change", probes, err)
	}
	if ended.Err() == nil {
		t.Error("the changes are reported after the end of the wait")
	}

	closed := make(chan struct{})
	close(closed)
	for name, changes := range map[string]func(context.Context) <-chan struct{}{
		"none":          nil,
		"not possible":  func(context.Context) <-chan struct{} { return closed },
		"none happened": func(context.Context) <-chan struct{} { return make(chan struct{}) },
	} {
		probes := 0
		err := Waiter{Interval: time.Millisecond, Changes: changes}.Until(t.Context(), PodRuns, "five looks", func(context.Context) (bool, string, error) {
			probes++
			return probes == 5, "", nil
		})
		if err != nil || probes != 5 {
			t.Errorf("%s: %d probes, %v", name, probes, err)
		}
	}
	limits := map[Name]time.Duration{PodRuns: 20 * time.Millisecond}
	var late *TimeoutError
	err = Waiter{Interval: time.Hour, Limits: limits, Changes: func(context.Context) <-chan struct{} { return reported }}.Until(t.Context(), PodRuns, "nothing",
		func(context.Context) (bool, string, error) { return false, "nothing", nil })
	if !errors.As(err, &late) {
		t.Errorf("got %v, want that the time is over", err)
	}
}
