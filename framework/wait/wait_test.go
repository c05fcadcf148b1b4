package wait_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/wait"
)

const tick = time.Millisecond

func TestUntil(t *testing.T) {
	calls := 0
	tests := []struct {
		name  string
		scale float64
		limit time.Duration
		probe func(context.Context) (bool, string, error)
		want  string // a prefix of the error; empty means success
		last  string
	}{
		{
			name:  "done at once",
			limit: time.Second,
			probe: func(context.Context) (bool, string, error) { return true, "3 of 3", nil },
			last:  "3 of 3",
		},
		{
			name:  "error, then done",
			limit: time.Second,
			probe: func(context.Context) (bool, string, error) {
				if calls < 3 {
					return false, "", io.ErrUnexpectedEOF
				}
				return true, "up", nil
			},
			last: "up",
		},
		{
			name:  "done with an error is not done",
			limit: 10 * tick,
			probe: func(context.Context) (bool, string, error) { return true, "pod p", io.EOF },
			want:  "waited 10ms for the tide: last seen pod p; error: EOF",
			last:  "pod p; error: EOF",
		},
		{
			name:  "never done",
			limit: 10 * tick,
			probe: func(context.Context) (bool, string, error) { return false, "pod p Pending", nil },
			want:  "waited 10ms for the tide: last seen pod p Pending",
			last:  "pod p Pending",
		},
		{
			name:  "never anything seen",
			limit: 10 * tick,
			probe: func(context.Context) (bool, string, error) { return false, "", nil },
			want:  "waited 10ms for the tide: last seen nothing",
		},
		{
			name:  "only errors",
			limit: 10 * tick,
			probe: func(context.Context) (bool, string, error) { return false, "", errors.New("refused") },
			want:  "waited 10ms for the tide: last seen error: refused",
			last:  "error: refused",
		},
		{
			name:  "the probe that is cut short does not hide what was seen before",
			limit: 20 * tick,
			probe: func(ctx context.Context) (bool, string, error) {
				if calls < 3 {
					return false, "low", nil
				}
				<-ctx.Done()
				return false, "", ctx.Err()
			},
			want: "waited 20ms for the tide: last seen low",
			last: "low",
		},
		{
			name:  "the limit is scaled",
			scale: 2.5,
			limit: 10 * tick,
			probe: func(context.Context) (bool, string, error) { return false, "low", nil },
			want:  "waited 25ms for the tide: last seen low",
			last:  "low",
		},
		{
			name:  "stopped",
			limit: time.Hour,
			probe: func(context.Context) (bool, string, error) {
				return false, "", fmt.Errorf("checking: %w", wait.Stop(errors.New("the moon is gone")))
			},
			want: "waiting for the tide ended after ",
			last: "the moon is gone",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			calls = 0
			var records []wait.Record
			w := wait.Waiter{Scale: test.scale, Interval: tick, Observe: func(r wait.Record) { records = append(records, r) }}
			err := w.Until(t.Context(), "the tide", test.limit, func(ctx context.Context) (bool, string, error) {
				calls++
				return test.probe(ctx)
			})
			if got := fmt.Sprint(err); test.want != "" && !strings.HasPrefix(got, test.want) || test.want == "" && err != nil {
				t.Errorf("error %q, want %q", got, test.want)
			}
			if len(records) != 1 {
				t.Fatalf("%d records, want 1", len(records))
			}
			r := records[0]
			if r.What != "the tide" || r.Last != test.last || r.Done != (test.want == "") || r.Took <= 0 {
				t.Errorf("record %+v, want last %q", r, test.last)
			}
			if scaled := time.Duration(float64(test.limit) * max(test.scale, 1)); r.Limit != scaled {
				t.Errorf("limit in the record %s, want %s", r.Limit, scaled)
			}
		})
	}
}

func TestErrorsByType(t *testing.T) {
	w := wait.Waiter{Interval: tick}
	moon := errors.New("the moon is gone")

	err := w.Until(t.Context(), "the tide", 5*tick, func(context.Context) (bool, string, error) { return false, "low", nil })
	var timeout *wait.TimeoutError
	if !errors.As(err, &timeout) || timeout.What != "the tide" || timeout.Limit != 5*tick || timeout.Last != "low" {
		t.Errorf("%#v, want a TimeoutError", err)
	}

	err = w.Until(t.Context(), "the tide", time.Hour, func(context.Context) (bool, string, error) { return false, "", wait.Stop(moon) })
	var stopped *wait.StoppedError
	if !errors.As(err, &stopped) || !errors.Is(err, moon) || stopped.What != "the tide" {
		t.Errorf("%#v, want a StoppedError of %v", err, moon)
	}
	if wait.Stop(nil) != nil {
		t.Error("Stop(nil) is not nil")
	}
}

func TestInterrupted(t *testing.T) {
	ctrlC := errors.New("interrupted by the user")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := wait.Waiter{Interval: time.Hour}.Until(ctx, "the tide", time.Hour, func(context.Context) (bool, string, error) {
		cancel(ctrlC)
		return false, "low", nil
	})
	if !errors.Is(err, ctrlC) || !strings.HasPrefix(err.Error(), "waiting for the tide was interrupted after ") || !strings.HasSuffix(err.Error(), "last seen low") {
		t.Errorf("error %v", err)
	}
}

func TestProbeIsBounded(t *testing.T) {
	start := time.Now()
	err := wait.Waiter{Interval: tick}.Until(t.Context(), "the tide", 20*tick, func(ctx context.Context) (bool, string, error) {
		<-ctx.Done()
		return false, "", ctx.Err()
	})
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	if want := "waited 20ms for the tide: last seen error: context deadline exceeded"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestBadLimits(t *testing.T) {
	never := func(context.Context) (bool, string, error) { t.Error("probed"); return true, "", nil }
	for _, test := range []struct {
		w     wait.Waiter
		limit time.Duration
		want  string
	}{
		{wait.Waiter{}, 0, "waiting for the tide: limit 0s: want a positive duration"},
		{wait.Waiter{}, -time.Second, "waiting for the tide: limit -1s: want a positive duration"},
		{wait.Waiter{Scale: -2}, time.Second, "waiting for the tide: scale of the limits -2: want a positive number"},
	} {
		if err := test.w.Until(t.Context(), "the tide", test.limit, never); err == nil || err.Error() != test.want {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
}
