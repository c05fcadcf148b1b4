package load

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// steadyOver is how long the throughput must have been steady for a prolonged
// warm-up to end.
const steadyOver = 2 * time.Second

// notYet is far away, and leaves room to add to it.
const notYet = math.MaxInt64 / 2

// beginning is when measuring begins. The loops read it, nanoseconds of their
// clock, until it is there.
type beginning struct {
	at   atomic.Int64
	done chan warmUp // gets one
}

// warmUp is how it went.
type warmUp struct {
	end      time.Time
	lasted   time.Duration
	unsteady string // at its end, when it was prolonged until steady
}

func newBeginning() *beginning {
	b := &beginning{done: make(chan warmUp, 1)}
	b.at.Store(notYet)
	return b
}

// set begins to measure at a time of the loops' clock.
func (b *beginning) set(base time.Time, start, at int64, unsteady string) {
	b.at.Store(at)
	b.done <- warmUp{end: base.Add(time.Duration(at)), lasted: time.Duration(at - start), unsteady: unsteady}
}

// warmUntilSteady ends the warm-up of loops that began at start when the
// throughput is steady, or after the most that the options allow. Loops that
// wait for answers look at the beginning every patrolEvery.
func (b *beginning) warmUntilSteady(ctx context.Context, o Options, loops []*loop, start int64) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	limit := start + int64(o.WarmUp+o.SteadyWithin)
	var ticks []int64
	var before int64
	last := loops[0].now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := loops[0].now()
		var sum int64
		for _, l := range loops {
			sum += l.warmed.Load()
		}
		// A tick that comes late has counted more.
		ticks = append(ticks, (sum-before)*int64(tickEvery)/max(now-last, 1))
		before, last = sum, now
		why := "it was not watched for " + steadyOver.String()
		if n := int(steadyOver / tickEvery); len(ticks) >= n {
			why = unsteady(ticks[len(ticks)-n:], tickEvery)
		}
		begin := now + 2*patrolEvery
		if begin >= limit || why == "" && begin >= start+int64(o.WarmUp) {
			b.set(loops[0].base, start, begin, why)
			return
		}
	}
}
