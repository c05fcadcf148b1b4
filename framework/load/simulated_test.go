package load

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// simulated is a server for one loop, in the loop's own thread and in a time of its own, which moves on only
// while the loop waits: what is measured does not depend on the machine. The sockets and the epoll are real.
type simulated struct {
	t       *testing.T
	loop    *loop
	time    int64
	delay   func(get int64) time.Duration // of each get, counted from 1
	stall   span                          // the server begins nothing in between
	sleep   span                          // the loop's thread does not run in between
	gets    int64
	servers []*simulatedConn // by the index of the loop's connection
	in      []byte
}

// span is of the simulated time; the zero span is none.
type span struct{ from, until int64 }

// after is when what would happen at a time does, if nothing happens in the span.
func (s span) after(at int64) int64 {
	if at >= s.from {
		return max(at, s.until)
	}
	return at
}

// simulatedConn is the server's end of a connection. Its answers come one after the other.
type simulatedConn struct {
	fd      int
	rest    []byte // of a request that has not come as a whole
	pending []pendingAnswer
}

type pendingAnswer struct {
	due  int64
	text []byte
}

// simulate measures a load of gets whose keys are there.
func simulate(t *testing.T, o Options, s *simulated) Result {
	t.Helper()
	o.Addr, o.Threads = "127.0.0.1:1", 1
	begin := newBeginning()
	loops, err := newLoops(o, begin)
	if err != nil {
		t.Fatal(err)
	}
	l := loops[0]
	s.t, s.loop, s.in = t, l, make([]byte, 64<<10)
	l.now, l.wait = func() int64 { return s.time }, s.wait
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for _, c := range l.conns {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(pair[1]) })
		s.servers = append(s.servers, &simulatedConn{fd: pair[1]})
		c.fd, c.state = pair[0], up
		l.ups++
		if err := l.watch(c, unix.EPOLL_CTL_ADD, unix.EPOLLIN); err != nil {
			t.Fatal(err)
		}
	}
	begin.set(l.base, 0, int64(o.WarmUp), "")
	if err := l.run(0, t.Context().Done()); err != nil {
		t.Fatal(err)
	}
	return newResult(o, l.stats)
}

// wait is the loop's: time passes until the next answer or for as long as the loop wants to wait.
func (s *simulated) wait(limit int64) (int, error) {
	next := s.time + max(limit, 1)
	for _, c := range s.servers {
		s.accept(c)
		if len(c.pending) > 0 {
			next = min(next, c.pending[0].due)
		}
	}
	s.time = s.sleep.after(max(next, s.time))
	for _, c := range s.servers {
		s.answer(c)
	}
	return s.loop.poll(0)
}

// accept reads the requests that are there.
func (s *simulated) accept(c *simulatedConn) {
	n, errno := read(c.fd, s.in)
	if errno == unix.EAGAIN {
		return
	}
	if errno != 0 {
		s.t.Fatalf("the server reads: %v", errno)
	}
	c.rest = append(c.rest, s.in[:n]...)
	for {
		line, rest, whole := bytes.Cut(c.rest, []byte("\r\n"))
		if !whole {
			return
		}
		s.gets++
		begins := s.stall.after(s.time)
		if last := len(c.pending) - 1; last >= 0 {
			begins = max(begins, c.pending[last].due)
		}
		w := s.loop.wire
		key, ok := w.parseKey(bytes.Fields(line)[1])
		if !ok {
			s.t.Fatalf("the server was asked %q", line)
		}
		text := append(w.contents.append([]byte("VA 100\r\n"), key, 1, w.contents.sizes.of(key)), "\r\n"...)
		c.pending = append(c.pending, pendingAnswer{begins + int64(s.delay(s.gets)), text})
		c.rest = slices.Clone(rest)
	}
}

// answer writes the answers that are due.
func (s *simulated) answer(c *simulatedConn) {
	for len(c.pending) > 0 && c.pending[0].due <= s.time {
		if n, errno := write(c.fd, c.pending[0].text); errno != 0 || n < len(c.pending[0].text) {
			s.t.Fatalf("the server writes: %d bytes, %v", n, errno)
		}
		c.pending = c.pending[1:]
	}
}

func seconds(microseconds int64) float64 { return float64(microseconds) / 1e6 }

// TestStall stops the server, or the client, for 1 s of 10 at 1000 requests a
// second. Requests that were due while it stood still wait for what is left of
// the second, so that latencies above x number 1000*(1-x): a tenth of all
// requests has one, and the percentile p has 1 s - 10 s * (1-p). A closed loop
// does not show this: the stall delays one request of each connection.
func TestStall(t *testing.T) {
	for name, test := range map[string]struct {
		rate  float64
		delay time.Duration // without one the time of a closed loop stands still
		who   func(*simulated) *span
	}{
		"open loop":                      {1000, 0, func(s *simulated) *span { return &s.stall }},
		"open loop, client stands still": {1000, 0, func(s *simulated) *span { return &s.sleep }},
		"closed loop":                    {0, 20 * time.Millisecond, func(s *simulated) *span { return &s.stall }},
	} {
		t.Run(name, func(t *testing.T) {
			o := Default("")
			o.Gets, o.Sets, o.Rate, o.Arrivals, o.WarmUp, o.Duration = 1, 0, test.rate, Constant, 0, 10*time.Second
			s := &simulated{delay: func(int64) time.Duration { return test.delay }}
			*test.who(s) = span{int64(2 * time.Second), int64(3 * time.Second)}
			r, rate := simulate(t, o, s), test.rate
			if r.Errors != 0 || r.Wrong != 0 || rate > 0 && r.Get.TotalCount() != 10000 {
				t.Errorf("%s", r)
			}
			for _, percent := range []float64{92, 95, 98, 99, 99.5, 99.9} {
				want := 1 - o.Duration.Seconds()*(1-percent/100)
				got := seconds(r.Get.ValueAtPercentile(percent))
				// A request comes each ms.
				if shown := math.Abs(got-want) <= 0.002; shown != (rate > 0) {
					t.Errorf("p%g is %.4f s, and arithmetic says %.4f s", percent, got, want)
				}
			}
			if !strings.Contains(r.Unsteady, "nothing was answered for ") {
				t.Errorf("unsteady: %q", r.Unsteady)
			}
			if t.Failed() {
				t.Logf("%s", r)
			}
		})
	}
}

func TestDelays(t *testing.T) {
	const short, long = 20 * time.Millisecond, 200 * time.Millisecond
	for name, test := range map[string]struct {
		delay func(int64) time.Duration
		want  map[float64]time.Duration // by percentile
	}{
		"fixed": {func(int64) time.Duration { return short }, map[float64]time.Duration{0: short, 50: short, 100: short}},
		"one in ten is long": {func(n int64) time.Duration {
			if n%10 == 0 {
				return long
			}
			return short
		}, map[float64]time.Duration{0: short, 50: short, 89: short, 91: long, 95: long, 100: long}},
	} {
		for loop, rate := range map[string]float64{"open": 250, "closed": 0} {
			t.Run(name+", "+loop, func(t *testing.T) {
				o := Default("")
				o.Gets, o.Sets, o.Keys, o.Rate, o.Arrivals, o.WarmUp, o.Duration = 1, 0, 100, rate, Constant, 0, 10*time.Second
				if rate > 0 {
					o.Connections = 100 // each has 400 ms for a request
				}
				s := &simulated{delay: test.delay}
				r := simulate(t, o, s)
				if r.Wrong > 0 || r.Errors > 0 || rate > 0 && r.Get.TotalCount() != 2500 {
					t.Fatalf("%s", r)
				}
				for percent, want := range test.want {
					// The histogram rounds to 3 digits.
					if got := time.Duration(r.Get.ValueAtPercentile(percent)) * time.Microsecond; (got - want).Abs() > want/1000 {
						t.Errorf("p%g is %s, want %s", percent, got, want)
					}
				}
				if r.Late.Max() > 1 { // the least that the histogram holds
					t.Errorf("a request was sent %d µs late, and the loop never had anything else to do", r.Late.Max())
				}
				if t.Failed() {
					t.Logf("%s", r)
				}
			})
		}
	}
}
