package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	readSize    = 256 << 10 // bytes of the buffer that the connections of a loop share
	eventsAt    = 256       // that one call returns
	maxBacklog  = 1 << 16   // slots of one connection in an open loop
	reconnectIn = int64(50 * time.Millisecond)
	// connectIn is how long an attempt to connect again is left to itself. Behind
	// a Service the kernel repeats it to the address of a pod that is gone.
	connectIn   = int64(time.Second)
	patrolEvery = int64(50 * time.Millisecond)
	preloadWith = 32 // requests in flight of a connection while keys are stored
)

// loop drives its connections from one thread.
type loop struct {
	options Options
	addr    netip.AddrPort
	wire    *wire
	chooser *chooser
	rng     *rand.PCG
	base    time.Time // when now was 0
	now     clock
	wait    func(limit int64) (int, error) // for events, at most limit nanoseconds
	conns   []*conn
	epoll   int
	events  [eventsAt]unix.EpollEvent

	in, out []byte
	stamp   uint64   // of the value that was written last
	latest  []uint32 // end of the stamp by key, when each connection has keys of its own; 0: any
	turn    int      // connection of the next request of an open loop
	checked int      // values since the last that was verified

	phase     phase
	beginning *beginning
	warm      int64        // answers before what is measured
	warmed    atomic.Int64 // the same, for others to read
	begin     int64        // of what is measured
	finish    int64
	nextAt    float64 // of an open loop: intended time of the next request
	meanGap   float64
	nextScan  int64
	preload   struct{ next, end uint64 }
	asked     int   // requests in flight on all connections
	ups       int   // connections
	outage    int64 // when the last connection was lost; 0: some are up, or have answered since
	stats     stats
}

type phase uint8

const (
	storing  phase = iota // keys
	running               // warm-up and what is measured
	draining              // answers of what was asked
)

// StoreError is that a server which was connected did not store the keys of a load as it should.
type StoreError struct{ Complaint string }

func (e *StoreError) Error() string { return "store the keys: " + e.Complaint }

// storeKeys stores the keys from next to end. What the server does wrong is a [StoreError].
func (l *loop) storeKeys(stop <-chan struct{}) error {
	l.phase = storing
	for _, c := range l.conns {
		l.fill(c, preloadWith, l.now())
	}
	for l.asked > 0 {
		select {
		case <-stop:
			return errStopped
		default:
		}
		if err := l.step(patrolEvery); err != nil {
			return err
		}
		if l.stats.errors > 0 {
			return &StoreError{l.stats.complaints[0]}
		}
	}
	return nil
}

// run loads the server from start on and returns when all answers are there or
// have been waited for long enough.
func (l *loop) run(start int64, stop <-chan struct{}) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The kernel wakes a thread up to 50 µs late unless it is set otherwise.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set the timer slack: %w", err)
	}
	o := l.options
	l.phase, l.warm = running, 0
	l.begin, l.finish = notYet, notYet
	if o.Rate > 0 {
		l.meanGap = 1e9 / (o.Rate * float64(len(l.conns)) / float64(o.Connections))
		l.nextAt = float64(start)
		if o.Arrivals == Poisson {
			l.nextAt += l.gap()
		}
	} else {
		for _, c := range l.conns {
			l.fill(c, o.Depth, l.now())
		}
	}
	var before, after unix.Rusage
	counting := false
	for {
		now := l.now()
		if !counting {
			l.warmed.Store(l.warm)
			l.begin = l.beginning.at.Load()
			l.finish = l.begin + int64(o.Duration)
		}
		if !counting && now >= l.begin {
			counting = true
			if err := unix.Getrusage(unix.RUSAGE_THREAD, &before); err != nil {
				return fmt.Errorf("processor time: %w", err)
			}
		}
		// A loop that is late still owes the requests that were due before the end.
		if l.phase == running && now >= l.finish && (o.Rate == 0 || int64(l.nextAt) >= l.finish) {
			l.phase = draining
			if err := unix.Getrusage(unix.RUSAGE_THREAD, &after); err != nil {
				return fmt.Errorf("processor time: %w", err)
			}
			l.stats.cpu = cpuTime(after) - cpuTime(before)
		}
		if l.phase == draining && (l.asked == 0 || now >= l.finish+int64(o.Timeout)) {
			break
		}
		select {
		case <-stop:
			return errStopped
		default:
		}
		wait := patrolEvery
		if l.phase == running {
			if o.Rate > 0 {
				wait = min(wait, l.arrive(min(now, l.finish-1), now))
			}
			wait = min(wait, l.finish-now)
		}
		if err := l.step(wait); err != nil {
			return err
		}
	}
	for _, c := range l.conns {
		if c.inFlight() > 0 {
			l.lose(c, "no answer within "+o.Timeout.String())
		}
	}
	l.stats.end(l.begin)
	return nil
}

func cpuTime(u unix.Rusage) time.Duration { return time.Duration(u.Utime.Nano() + u.Stime.Nano()) }

func (l *loop) gap() float64 {
	if l.options.Arrivals == Constant {
		return l.meanGap
	}
	return -math.Log(1-unit(l.rng)) * l.meanGap
}

// arrive sends the requests of an open loop that are due by a time, and returns
// how long it is until the next.
func (l *loop) arrive(due, now int64) int64 {
	for burst := 0; int64(l.nextAt) <= due && burst < 512; burst++ {
		intended := int64(l.nextAt)
		l.nextAt += l.gap()
		if c := l.nextConn(); c != nil {
			l.out = l.out[:0]
			l.ask(c, intended, now)
			l.send(c)
		} else if intended >= l.begin && intended < l.finish {
			l.stats.unsent++
		}
	}
	return max(int64(l.nextAt)-l.now(), 0)
}

// nextConn takes connections in turn; nil when none can take a request.
func (l *loop) nextConn() *conn {
	for range l.conns {
		c := l.conns[l.turn]
		if l.turn++; l.turn == len(l.conns) {
			l.turn = 0
		}
		if c.state == up && c.inFlight()+l.options.Multiget <= maxBacklog {
			return c
		}
	}
	return nil
}

// fill sends requests until depth of them are in flight.
func (l *loop) fill(c *conn, depth int, now int64) {
	l.out = l.out[:0]
	for c.state == up && c.requests < depth {
		if l.phase == draining || l.phase == storing && l.preload.next == l.preload.end {
			break
		}
		l.ask(c, now, now)
	}
	l.send(c)
}

// ask writes a request into l.out and its slots into the ring of c.
func (l *loop) ask(c *conn, intended, now int64) {
	s := slot{intended: intended, sent: now, last: true, measured: l.phase == running && intended >= l.begin && intended < l.finish}
	c.requests++
	l.asked++
	if l.phase == storing {
		s.key, s.op = uint32(l.preload.next), opSet
		l.preload.next++
	} else {
		s.key, s.op = l.key(c), l.operation()
	}
	switch s.op {
	case opSet:
		c.reserve(1)
		l.stamp++
		if l.latest != nil {
			l.latest[s.key] = uint32(l.stamp)
		}
		l.out = l.wire.appendSet(l.out, uint64(s.key), l.stamp)
		c.push(s)
	case opDelete:
		c.reserve(1)
		l.out = l.wire.appendDelete(l.out, uint64(s.key))
		c.push(s)
	case opGet:
		n := l.options.Multiget
		c.reserve(n)
		start := c.tail
		for i := range n {
			if i > 0 {
				s.key = l.key(c)
			}
			if l.latest != nil {
				s.stamp = l.latest[s.key]
			}
			s.last = i == n-1
			c.push(s)
		}
		l.out = l.wire.appendGet(l.out, c, start, n)
	}
	switch {
	case !s.measured:
	case now == intended:
		l.stats.punctual++
	default:
		record(l.stats.late, now-intended, 1)
	}
}

// key draws one. When connections have keys of their own, those of a client are
// equal to its number modulo the clients, and a connection has every n-th of them.
func (l *loop) key(c *conn) uint32 {
	k := l.chooser.key(l.rng)
	if l.latest != nil {
		clients, n := uint64(max(l.options.Clients, 1)), uint64(l.options.Connections)
		of := func(turn uint64) uint64 { return turn*clients + uint64(l.options.Client) }
		turn := k / clients
		turn += c.owner - turn%n
		if k = of(turn); k >= uint64(l.options.Keys) {
			k = of(turn - n)
		}
	}
	return uint32(k)
}

func (l *loop) operation() operation {
	o := &l.options
	if o.Sets+o.Deletes == 0 {
		return opGet
	}
	n := below(l.rng, uint64(o.Gets+o.Sets+o.Deletes))
	switch {
	case n < uint64(o.Gets):
		return opGet
	case n < uint64(o.Gets+o.Sets):
		return opSet
	}
	return opDelete
}
