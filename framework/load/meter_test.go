package load

import (
	"bufio"
	"bytes"
	"math"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// standIn answers gets of one meta key a request with the right values, each
// after a delay, and does nothing for as long as it is stalled.
type standIn struct {
	listener net.Listener
	options  Options
	delay    func(get int64) time.Duration // of each get, counted from 1
	gets     atomic.Int64
	asked    chan struct{} // closed by the first get
	stalled  sync.RWMutex  // locked while it stalls
	served   sync.WaitGroup
	occupied atomic.Int64 // nanoseconds from the first get of a connection to its end, of those that have ended
}

func newStandIn(t *testing.T, o Options) *standIn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &standIn{listener: listener, options: o, delay: func(int64) time.Duration { return 0 }, asked: make(chan struct{})}
	s.served.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			s.served.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.served.Wait()
	})
	return s
}

func (s *standIn) addr() string { return s.listener.Addr().String() }

// serve knows "mg KEY v", which it answers with a value, and "ms KEY SIZE".
func (s *standIn) serve(c net.Conn) {
	defer c.Close()
	w := newWire(s.options, newContents(s.options.Values, s.options.Seed))
	r := bufio.NewReader(c)
	var out []byte
	var first time.Time // get of this connection
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			if !first.IsZero() {
				s.occupied.Add(int64(time.Since(first)))
			}
			return
		}
		if line[0] != 'm' {
			if _, err := c.Write([]byte("ERROR\r\n")); err != nil {
				return
			}
			continue
		}
		s.stalled.RLock() // waits while the server stalls
		key, _ := w.parseKey(bytes.Fields(line)[1])
		if line[1] == 's' {
			_, _ = r.Discard(w.contents.sizes.of(key) + 2) // the next read has its error
			out = append(out, "HD\r\n"...)
		} else {
			n := s.gets.Add(1)
			if n == 1 {
				close(s.asked)
			}
			if first.IsZero() {
				first = time.Now()
			}
			if d := s.delay(n); d > 0 {
				<-time.After(d)
			}
			out = append(out, "VA 100\r\n"...)
			out = append(w.contents.append(out, key, 1, w.contents.sizes.of(key)), "\r\n"...)
		}
		s.stalled.RUnlock()
		if r.Buffered() == 0 {
			if _, err := c.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
	}
}

// TestLatencies compares a closed loop with what the server sees, which holds on machines of every speed: no
// latency is below the server's delay, and those of one connection follow each other while it is open.
func TestLatencies(t *testing.T) {
	t.Parallel()
	const delay = 20 * time.Millisecond
	o := Default("")
	o.Gets, o.Sets, o.Keys, o.WarmUp, o.Duration = 1, 0, 100, 0, 500*time.Millisecond
	server := newStandIn(t, o)
	server.delay = func(int64) time.Duration { return delay }
	o.Addr = server.addr()
	r, err := Run(t.Context(), o)
	if err != nil || r.Wrong > 0 || r.Errors > 0 || r.Get.TotalCount() == 0 {
		t.Fatalf("%v %s", err, r)
	}
	_ = server.listener.Close()
	server.served.Wait()
	// The histogram rounds to 3 digits.
	if least := time.Duration(r.Get.Min()) * time.Microsecond; least < delay*999/1000 {
		t.Errorf("a latency of %s, and the server takes %s", least, delay)
	}
	sum := time.Duration(r.Get.Mean()*float64(r.Get.TotalCount())) * time.Microsecond
	if open := time.Duration(server.occupied.Load()); sum > open*1001/1000 {
		t.Errorf("latencies of %s in all, and the connections were in use for %s: %s", sum, open, r)
	}
}

// TestNoAllocation compares two durations: what is allocated must not grow with
// the number of requests.
func TestNoAllocation(t *testing.T) {
	notShort(t)
	addr := realServer(t)
	for name, change := range map[string]func(*Options){
		"closed": func(o *Options) { o.Depth = 16 },
		"text":   func(o *Options) { o.Protocol, o.Multiget, o.Depth = Text, 8, 4 },
		"open":   func(o *Options) { o.Rate = 20000 },
	} {
		t.Run(name, func(t *testing.T) {
			count := func(d time.Duration) (mallocs uint64, requests int64) {
				o := short(addr)
				o.Duration = d
				change(&o)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				r, err := Run(t.Context(), o)
				runtime.ReadMemStats(&after)
				if err != nil {
					t.Fatal(err)
				}
				return after.Mallocs - before.Mallocs, r.Answered()
			}
			few, fewRequests := count(100 * time.Millisecond)
			many, manyRequests := count(time.Second)
			if more := float64(many) - float64(few); more > 0.01*float64(manyRequests-fewRequests) {
				t.Errorf("%d allocations with %d requests, %d with %d", few, fewRequests, many, manyRequests)
			}
		})
	}
}

func TestHistogramKeepsThreeDigits(t *testing.T) {
	for us := int64(1); us <= 60_000_000; us = us*11/10 + 1 {
		h := newHistogram()
		record(h, us*1000, 1)
		if got := h.ValueAtPercentile(100); math.Abs(float64(got-us)) > float64(us)/1000 {
			t.Errorf("%d µs became %d", us, got)
		}
	}
	a, b := newStats(Default("x:1")), newStats(Default("x:1"))
	record(a.latency[opGet], 5000, 1)
	record(b.latency[opGet], 7000, 1)
	record(b.latency[opGet], int64(2*time.Minute), 1)
	a.merge(b)
	if h := a.latency[opGet]; h.TotalCount() != 3 || h.Max() < highest.Microseconds()*999/1000 || h.Min() != 5 {
		t.Errorf("merged: %d, %d to %d", h.TotalCount(), h.Min(), h.Max())
	}
}

// TestStaleValues asks a server that answers each get with the value that was
// stored first. Those of the warm-up are wrong too.
func TestStaleValues(t *testing.T) {
	o := short("")
	o.Owned = true
	o.Addr = newStandIn(t, o).addr()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Wrong < r.Hits || r.Hits == 0 || len(r.Complaints) == 0 || !strings.Contains(r.Complaints[0], "not the one stored last") {
		t.Errorf("%s", r)
	}
}
