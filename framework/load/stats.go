package load

import (
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	highest    = time.Minute // latencies above are counted as this
	complaints = 5
	tickEvery  = 100 * time.Millisecond
)

// stats are what one loop has counted.
type stats struct {
	latency    [operations]*hdrhistogram.Histogram // microseconds
	late       *hdrhistogram.Histogram             // of requests: from the intended start to the sending
	punctual   int64                               // requests sent when they were intended, not in late yet
	group      group                               // the answers that are not in latency yet
	ticks      []int64                             // answers in each tickEvery
	hitTicks   []int64                             // values in each tickEvery
	hits       int64
	misses     int64
	received   int64 // bytes of values
	wrong      int64
	errors     int64
	unsent     int64
	lost       int64 // connections
	outages    []time.Duration
	complaints []string
	cpu        time.Duration
}

func newStats(o Options) stats {
	n := o.Duration/tickEvery + 1
	s := stats{late: newHistogram(), ticks: make([]int64, n), hitTicks: make([]int64, n)}
	for i := range s.latency {
		s.latency[i] = newHistogram()
	}
	return s
}

// tick is the index of a time since the beginning of what is measured. What
// comes after the end belongs to the last tick.
func (s *stats) tick(since int64) int64 {
	return min(max(since/int64(tickEvery), 0), int64(len(s.ticks)-1))
}

// group is of answers of one kind that were asked for at one time and came at
// one time, as those of a pipeline do.
type group struct {
	op            operation
	intended, now int64
	answers       int64
}

// answered counts an answer, into the histogram when the next is of another
// group.
func (s *stats) answered(op operation, intended, now, begin int64) {
	if g := &s.group; g.op == op && g.intended == intended && g.now == now {
		g.answers++
		return
	}
	s.count(begin)
	s.group = group{op, intended, now, 1}
}

// count empties the group.
func (s *stats) count(begin int64) {
	g := s.group
	if g.answers == 0 {
		return
	}
	record(s.latency[g.op], g.now-g.intended, g.answers)
	s.ticks[s.tick(g.now-begin)] += g.answers
	s.group = group{}
}

// end puts what is left into the histograms.
func (s *stats) end(begin int64) {
	s.count(begin)
	if s.punctual > 0 {
		record(s.late, 0, s.punctual)
		s.punctual = 0
	}
}

func (s *stats) complain(format string, args ...any) {
	if len(s.complaints) < complaints {
		s.complaints = append(s.complaints, fmt.Sprintf(format, args...))
	}
}

// merge adds the counts of t, without loss.
func (s *stats) merge(t stats) {
	for i := range s.latency {
		s.latency[i].Merge(t.latency[i])
	}
	s.late.Merge(t.late)
	for i := range s.ticks {
		s.ticks[i] += t.ticks[i]
		s.hitTicks[i] += t.hitTicks[i]
	}
	s.hits += t.hits
	s.misses += t.misses
	s.received += t.received
	s.wrong += t.wrong
	s.errors += t.errors
	s.unsent += t.unsent
	s.lost += t.lost
	s.cpu += t.cpu
	s.outages = slices.Concat(s.outages, t.outages)
	s.complaints = slices.Concat(s.complaints, t.complaints)
	s.complaints = s.complaints[:min(len(s.complaints), complaints)]
}
