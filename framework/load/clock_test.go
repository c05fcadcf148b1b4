package load

import (
	"strings"
	"testing"
	"time"
)

func TestClockStep(t *testing.T) {
	// Each reading takes a microsecond, and that of the wall clock at times a
	// second, as on a busy machine.
	var now, set int64
	mono := func() int64 { now += 1000; return now }
	readings := 0
	wall := func() int64 {
		if readings++; readings%3 != 0 {
			now += int64(time.Second)
		}
		return now + set
	}
	for _, step := range []time.Duration{0, time.Hour, -time.Second, 2 * time.Millisecond, 10 * time.Microsecond, -2 * time.Millisecond} {
		before := clockOffset(wall, mono)
		set += int64(step)
		want := step
		if step.Abs() < smallestStep {
			want = 0
		}
		if got := clockStep(before, clockOffset(wall, mono)); (got - want).Abs() > 10*time.Microsecond {
			t.Errorf("set by %s: %s", step, got)
		}
	}
}

func TestClockStepIsTold(t *testing.T) {
	o := Default("x:1")
	r := newResult(o, newStats(o))
	if strings.Contains(r.String(), "clock") {
		t.Errorf("no step: %s", r)
	}
	r.ClockStep = -time.Hour
	if !strings.Contains(r.String(), "the wall clock was set by -1h0m0s during the run") {
		t.Errorf("a step: %s", r)
	}
}

func TestClockOffset(t *testing.T) {
	first := clockOffset(wall, monotonic)
	now := time.Now().UnixNano() - monotonic()
	if time.Duration(now-int64(first)).Abs() > time.Second {
		t.Errorf("the wall clock is %s ahead, want %s", first, time.Duration(now))
	}
}
