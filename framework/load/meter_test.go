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
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
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

// TestStall stops the server for 1 s of 10 at 1000 requests a second. Requests
// that were due while it stood still wait for what is left of the second, so
// that latencies above x number 1000*(1-x): a tenth of all requests has one, and
// the percentile p has 1 s - 10 s * (1-p). A closed loop does not show this: the
// stall delays one request of each connection.
func TestStall(t *testing.T) {
	t.Parallel()
	for name, rate := range map[string]float64{"open loop": 1000, "closed loop": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Default("")
			o.Gets, o.Sets, o.Rate, o.Arrivals, o.WarmUp = 1, 0, rate, Constant, 0
			server := newStandIn(t, o)
			if rate == 0 {
				server.delay = func(int64) time.Duration { return 20 * time.Millisecond } // leaves room for others
				o.Duration = 4 * time.Second
			}
			o.Addr = server.addr()
			stood := make(chan time.Duration, 1)
			go func() {
				<-server.asked
				<-time.After(2 * time.Second)
				server.stalled.Lock()
				locked := time.Now()
				<-time.After(time.Second)
				server.stalled.Unlock()
				stood <- time.Since(locked)
			}()
			r, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			stall := (<-stood).Seconds() // as it was, not as it was meant
			if r.Errors != 0 || r.Wrong != 0 || rate > 0 && r.Get.TotalCount() != 10000 {
				t.Errorf("%s", r)
			}
			for _, percent := range []float64{92, 95, 98, 99, 99.5, 99.9} {
				want := stall - o.Duration.Seconds()*(1-percent/100)
				got := float64(r.Get.ValueAtPercentile(percent)) / 1e6
				t.Logf("p%-4g %.3f s, by arithmetic %.3f s", percent, got, want)
				// Both ends of the stall reach the server late on a busy machine.
				if shown := math.Abs(got-want) <= 0.1; shown != (rate > 0) && (rate > 0 || percent <= 98) {
					t.Errorf("p%g is %.3f s, and arithmetic says %.3f s", percent, got, want)
				}
			}
			if !strings.Contains(r.Unsteady, "nothing was answered for") {
				t.Errorf("unsteady: %q", r.Unsteady)
			}
			if t.Failed() {
				t.Logf("%s", r)
			}
		})
	}
}

// TestDelays has servers whose delays are known, and connections enough for
// none to wait for another's answer. Slack is for a busy machine.
func TestDelays(t *testing.T) {
	t.Parallel()
	const short, long = 20 * time.Millisecond, 200 * time.Millisecond
	type bounds struct {
		percent     float64
		least, most time.Duration
	}
	for name, test := range map[string]struct {
		delay func(int64) time.Duration
		want  []bounds
	}{
		"fixed": {func(int64) time.Duration { return short }, []bounds{{0, short, 100 * time.Millisecond}, {50, short, 100 * time.Millisecond}, {90, short, 150 * time.Millisecond}}},
		"one in ten is long": {func(n int64) time.Duration {
			if n%10 == 0 {
				return long
			}
			return short
		}, []bounds{{0, short, 100 * time.Millisecond}, {50, short, 100 * time.Millisecond}, {85, short, 150 * time.Millisecond}, {91, long, 400 * time.Millisecond}, {95, long, 400 * time.Millisecond}}},
	} {
		for loop, rate := range map[string]float64{"open": 250, "closed": 0} {
			t.Run(name+", "+loop, func(t *testing.T) {
				t.Parallel()
				o := Default("")
				o.Gets, o.Sets, o.Keys, o.Rate, o.Arrivals, o.WarmUp, o.Duration = 1, 0, 100, rate, Constant, 0, time.Second
				if rate > 0 {
					o.Connections = 100 // each has 400 ms for a request
				}
				server := newStandIn(t, o)
				server.delay = test.delay
				o.Addr = server.addr()
				r, err := Run(t.Context(), o)
				if err != nil || r.Wrong > 0 || r.Errors > 0 {
					t.Fatalf("%v %s", err, r)
				}
				for _, b := range test.want {
					// The histogram rounds to 3 digits.
					if got := time.Duration(r.Get.ValueAtPercentile(b.percent)) * time.Microsecond; got < b.least*999/1000 || got > b.most {
						t.Errorf("p%g is %s, want %s to %s", b.percent, got, b.least, b.most)
					}
				}
				if t.Failed() {
					t.Logf("%s", r)
				}
			})
		}
	}
}

// TestNoAllocation compares two durations: what is allocated must not grow with
// the number of requests.
func TestNoAllocation(t *testing.T) {
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
