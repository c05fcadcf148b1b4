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
			var begun []wait.Record
			w := wait.Waiter{
				Scale: wait.Scale{All: test.scale}, Interval: tick, Limits: map[wait.Name]time.Duration{wait.PodRuns: test.limit},
				Begin:   func(r wait.Record) { begun = append(begun, r) },
				Observe: func(r wait.Record) { records = append(records, r) },
			}
			err := w.Until(t.Context(), wait.PodRuns, "the tide", func(ctx context.Context) (bool, string, error) {
				calls++
				return test.probe(ctx)
			})
			if got := fmt.Sprint(err); test.want != "" && !strings.HasPrefix(got, test.want) || test.want == "" && err != nil {
				t.Errorf("error %q, want %q", got, test.want)
			}
			if len(records) != 1 {
				t.Fatalf("%d records, want 1", len(records))
			}
			if len(begun) != 1 || begun[0].What != "the tide" || begun[0].Limit != records[0].Limit || begun[0].Name != wait.PodRuns {
				t.Errorf("begun %+v", begun)
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
	limits := func(d time.Duration) map[wait.Name]time.Duration { return map[wait.Name]time.Duration{wait.PodRuns: d} }
	w := wait.Waiter{Interval: tick, Limits: limits(5 * tick)}
	moon := errors.New("the moon is gone")

	err := w.Until(t.Context(), wait.PodRuns, "the tide", func(context.Context) (bool, string, error) { return false, "low", nil })
	var timeout *wait.TimeoutError
	if !errors.As(err, &timeout) || timeout.What != "the tide" || timeout.Limit != 5*tick || timeout.Last != "low" {
		t.Errorf("%#v, want a TimeoutError", err)
	}

	w.Limits = limits(time.Hour)
	err = w.Until(t.Context(), wait.PodRuns, "the tide", func(context.Context) (bool, string, error) { return false, "", wait.Stop(moon) })
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
	err := wait.Waiter{Interval: time.Hour}.Until(ctx, wait.PodRuns, "the tide", func(context.Context) (bool, string, error) {
		cancel(ctrlC)
		return false, "low", nil
	})
	var interrupted *wait.InterruptedError
	if !errors.As(err, &interrupted) || !errors.Is(err, ctrlC) || !strings.HasPrefix(err.Error(), "waiting for the tide was interrupted after ") || !strings.HasSuffix(err.Error(), "last seen low") {
		t.Errorf("error %v", err)
	}
}

func TestProbeIsBounded(t *testing.T) {
	start := time.Now()
	err := wait.Waiter{Interval: tick, Limits: map[wait.Name]time.Duration{wait.PodRuns: 20 * tick}}.Until(t.Context(), wait.PodRuns, "the tide", func(ctx context.Context) (bool, string, error) {
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

func TestUnknownName(t *testing.T) {
	err := wait.Waiter{}.Until(t.Context(), "tide", "the tide", func(context.Context) (bool, string, error) {
		t.Error("probed")
		return true, "", nil
	})
	if want := `waiting for the tide: "tide" has no limit; name it in package wait`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestEveryNameHasALimit(t *testing.T) {
	for _, name := range wait.Names() {
		if limit, doc := wait.Default(name); limit <= 0 || doc == "" {
			t.Errorf("%s: limit %s, doc %q", name, limit, doc)
		}
	}
}

func TestParseScale(t *testing.T) {
	tests := []struct {
		text, back string
		pods, max  float64 // factors for pod-runs, and the highest
		err        string  // part of it
	}{
		{text: "1", back: "1", pods: 1, max: 1},
		{text: "2.5", back: "2.5", pods: 2.5, max: 2.5},
		{text: "2,pod-runs=3", back: "2,pod-runs=3", pods: 3, max: 3},
		{text: "pod-runs=0.5", back: "1,pod-runs=0.5", pods: 0.5, max: 1},
		{text: " 2 , lab-api=4 ", back: "2,lab-api=4", pods: 2, max: 4},
		{text: "", err: `"" is no factor; give a number from 0.1 to 100`},
		{text: "fast", err: `"fast" is no factor`},
		{text: "0", err: `"0" is no factor`},
		{text: "NaN", err: `"NaN" is no factor`},
		{text: "101", err: `"101" is no factor`},
		{text: "2,3", err: `"3" is a second factor for all waits`},
		{text: "pods=2", err: `"pods" is no wait; there are capacity-told, claim-bound`},
		{text: "pod-runs=2,pod-runs=3", err: `"pod-runs" is given twice`},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			s, err := wait.ParseScale(test.text)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil || s.String() != test.back || s.Of(wait.PodRuns) != test.pods || s.Max() != test.max {
				t.Errorf("%s, pod-runs %g, max %g, error %v", s, s.Of(wait.PodRuns), s.Max(), err)
			}
		})
	}
}

// Whether the last probe saw a state or met an error is in the TimeoutError.
func TestLastErrorOfATimeout(t *testing.T) {
	w := wait.Waiter{Interval: tick, Limits: map[wait.Name]time.Duration{wait.PodRuns: 20 * tick}}
	for _, tt := range []struct {
		name string
		errs []error // of the first probes; the others have the last
		want error
	}{
		{"a state", []error{io.EOF, nil}, nil},
		{"an error", []error{nil, io.EOF}, io.EOF},
	} {
		calls := 0
		err := w.Until(t.Context(), wait.PodRuns, "the tide", func(context.Context) (bool, string, error) {
			calls++
			return false, "low", tt.errs[min(calls, len(tt.errs))-1]
		})
		timeout, ok := errors.AsType[*wait.TimeoutError](err)
		if !ok || timeout.Err != tt.want || errors.Is(err, io.EOF) != (tt.want != nil) {
			t.Errorf("%s: error %v, the last probe's %v, want %v", tt.name, err, timeout.Err, tt.want)
		}
	}
}
