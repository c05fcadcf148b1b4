package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// clock reads one of the system's clocks, in nanoseconds.
type clock func() int64

func monotonic() int64 { return clockGettime(unix.CLOCK_MONOTONIC) }
func wall() int64      { return clockGettime(unix.CLOCK_REALTIME) }

func clockGettime(id int32) int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		panic(err) // every Linux has both clocks
	}
	return t.Nano()
}

// smallestStep is more than the readings of two clocks are apart and less than
// anyone sets a clock by. Both clocks are slewed alike, clock_gettime(2).
const smallestStep = time.Millisecond

// clockOffset is how far wall is ahead of mono. Of ten readings the one during
// which mono moved the least counts, so that a thread that had to wait between
// the two does not look like a step.
func clockOffset(wall, mono clock) time.Duration {
	least, offset := int64(-1), int64(0)
	for range 10 {
		before := mono()
		at := wall()
		after := mono()
		if width := after - before; least < 0 || width < least {
			least, offset = width, at-before-width/2
		}
	}
	return time.Duration(offset)
}

// clockStep is by how much the wall clock was set between two offsets; 0: it
// was not.
func clockStep(before, after time.Duration) time.Duration {
	if step := after - before; step.Abs() >= smallestStep {
		return step
	}
	return 0
}
