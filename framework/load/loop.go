package load

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readSize    = 256 << 10 // bytes of the buffer that the connections of a loop share
	eventsAt    = 256       // that one call returns
	maxBacklog  = 1 << 16   // slots of one connection in an open loop
	reconnectIn = int64(50 * time.Millisecond)
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
	base    time.Time
	conns   []*conn
	epoll   int
	events  [eventsAt]unix.EpollEvent

	in, out []byte
	stamp   uint64   // of the value that was written last
	latest  []uint64 // stamp by key, when each connection has keys of its own
	turn    int      // connection of the next request of an open loop
	checked int      // values since the last that was verified

	phase    phase
	begin    int64 // of what is measured
	finish   int64
	nextAt   float64 // of an open loop: intended time of the next request
	meanGap  float64
	nextScan int64
	preload  struct{ next, end uint64 }
	asked    int   // requests in flight on all connections
	ups      int   // connections
	outage   int64 // when the last connection was lost; 0: some are up, or have answered since
	stats    stats
}

type phase uint8

const (
	storing  phase = iota // keys
	running               // warm-up and what is measured
	draining              // answers of what was asked
)

func (l *loop) now() int64 { return int64(time.Since(l.base)) }

// open connects all connections and waits until they are there.
func (l *loop) open() error {
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make an epoll: %w", err)
	}
	for _, c := range l.conns {
		if err := l.connect(c); err != nil {
			return err
		}
	}
	limit := l.now() + int64(l.options.Timeout)
	for missing := len(l.conns); missing > 0; {
		if l.now() > limit {
			return fmt.Errorf("connect to %s: %d of %d connections after %s; raise the connection limit of the server or ask for fewer",
				l.addr, len(l.conns)-missing, len(l.conns), l.options.Timeout)
		}
		n, err := l.poll(int64(100 * time.Millisecond))
		if err != nil {
			return err
		}
		for i := range n {
			c := l.conns[l.events[i].Fd]
			if c.state == connecting {
				if err := l.connected(c); err != nil {
					return fmt.Errorf("connect to %s: %w", l.addr, err)
				}
				missing--
			}
		}
	}
	return nil
}

func (l *loop) close() {
	for _, c := range l.conns {
		if c.state != down {
			_ = unix.Close(c.fd)
			c.state = down
		}
	}
	_ = unix.Close(l.epoll)
}

func (l *loop) connect(c *conn) error {
	fd, err := dial(l.addr)
	if err != nil {
		return err
	}
	c.fd, c.state = fd, connecting
	return l.watch(c, unix.EPOLL_CTL_ADD, unix.EPOLLOUT)
}

func (l *loop) connected(c *conn) error {
	code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if code != 0 {
		return unix.Errno(code)
	}
	c.state = up
	l.ups++
	return l.watch(c, unix.EPOLL_CTL_MOD, unix.EPOLLIN)
}

func (l *loop) watch(c *conn, how int, events uint32) error {
	if err := unix.EpollCtl(l.epoll, how, c.fd, &unix.EpollEvent{Events: events, Fd: c.index}); err != nil {
		return fmt.Errorf("watch a connection: %w", err)
	}
	return nil
}

// poll waits at most limit nanoseconds for events; 0 does not wait.
func (l *loop) poll(limit int64) (int, error) {
	timeout := unix.NsecToTimespec(max(limit, 0))
	call := unix.Syscall6
	if limit <= 0 {
		call = unix.RawSyscall6
	}
	n, _, errno := call(unix.SYS_EPOLL_PWAIT2, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events[0])), eventsAt, uintptr(unsafe.Pointer(&timeout)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, fmt.Errorf("wait for answers: %w", errno)
}

// storeKeys stores the keys from next to end.
func (l *loop) storeKeys(stop <-chan struct{}) error {
	l.phase = storing
	l.asked = 0
	for _, c := range l.conns {
		l.fill(c, preloadWith, l.now())
	}
	for l.asked > 0 {
		select {
		case <-stop:
			return errStopped
		default:
		}
		if err := l.step(int64(100 * time.Millisecond)); err != nil {
			return err
		}
		if l.stats.errors > 0 {
			return fmt.Errorf("store the keys: %s", l.stats.complaints[0])
		}
	}
	return nil
}

// run loads the server from start on and returns when all answers are there or
// have been waited for long enough.
func (l *loop) run(start int64, stop <-chan struct{}) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The kernel wakes a thread up to 50 µs late unless it is told otherwise.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set the timer slack: %w", err)
	}
	o := l.options
	l.phase = running
	l.begin = start + int64(o.WarmUp)
	l.finish = l.begin + int64(o.Duration)
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
		if !counting && now >= l.begin {
			counting = true
			if err := unix.Getrusage(unix.RUSAGE_THREAD, &before); err != nil {
				return fmt.Errorf("processor time: %w", err)
			}
		}
		if l.phase == running && now >= l.finish {
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
		wait := int64(50 * time.Millisecond)
		if l.phase == running {
			if o.Rate > 0 {
				wait = min(wait, l.arrive(now))
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
	return nil
}

func cpuTime(u unix.Rusage) time.Duration { return time.Duration(u.Utime.Nano() + u.Stime.Nano()) }

func (l *loop) gap() float64 {
	if l.options.Arrivals == Constant {
		return l.meanGap
	}
	return -math.Log(1-unit(l.rng)) * l.meanGap
}

// arrive sends the requests of an open loop that are due, and returns the time
// until the next.
func (l *loop) arrive(now int64) int64 {
	for burst := 0; int64(l.nextAt) <= now && burst < 512; burst++ {
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
			l.latest[s.key] = l.stamp
		}
		l.out = l.wire.appendSet(l.out, uint64(s.key), l.stamp, false)
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
	if s.measured {
		record(l.stats.late, now-intended)
	}
}

// key draws one; of its own keys when each connection has some.
func (l *loop) key(c *conn) uint32 {
	k := l.chooser.key(l.rng)
	if l.latest != nil {
		n := uint64(l.options.Connections)
		if k += c.owner - k%n; k >= uint64(l.options.Keys) {
			k -= n
		}
	}
	return uint32(k)
}

func (l *loop) operation() operation {
	o := &l.options
	n := below(l.rng, uint64(o.Gets+o.Sets+o.Deletes))
	switch {
	case n < uint64(o.Gets):
		return opGet
	case n < uint64(o.Gets+o.Sets):
		return opSet
	}
	return opDelete
}

// send writes l.out to the socket; what it does not take is kept.
func (l *loop) send(c *conn) {
	if len(l.out) == 0 || c.state != up {
		return
	}
	if len(c.out) > 0 {
		c.out = append(c.out, l.out...)
		return
	}
	n, errno := write(c.fd, l.out)
	switch {
	case errno == unix.EAGAIN:
		n = 0
	case errno != 0:
		l.lose(c, "write: "+errno.Error())
		return
	}
	if n < len(l.out) {
		c.out = append(c.out[:0], l.out[n:]...)
		if err := l.watch(c, unix.EPOLL_CTL_MOD, unix.EPOLLIN|unix.EPOLLOUT); err != nil {
			l.lose(c, err.Error())
		}
	}
}

// The sockets do not block, so the scheduler need not know of these calls.
func write(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), errno
}

func read(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), errno
}

// step waits for events, at most limit nanoseconds, and handles them.
func (l *loop) step(limit int64) error {
	n, err := l.poll(limit)
	if err != nil {
		return err
	}
	for i := range n {
		c, events := l.conns[l.events[i].Fd], l.events[i].Events
		switch {
		case c.state == connecting:
			if err := l.connected(c); err != nil {
				l.lose(c, "connect: "+err.Error())
			} else if l.options.Rate == 0 {
				l.fill(c, l.depth(), l.now())
			}
			continue
		case c.state == down:
			continue
		}
		if events&unix.EPOLLOUT != 0 {
			l.flush(c)
		}
		if events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 && c.state == up {
			l.receive(c)
		}
	}
	if now := l.now(); now >= l.nextScan {
		l.nextScan = now + patrolEvery
		l.patrol(now)
	}
	return nil
}

func (l *loop) depth() int {
	if l.phase == storing {
		return preloadWith
	}
	return l.options.Depth
}

// patrol ends connections that do not answer and connects those that are down.
func (l *loop) patrol(now int64) {
	for _, c := range l.conns {
		switch {
		case c.state == up && c.inFlight() > 0 && now-c.at(c.head).sent > int64(l.options.Timeout):
			l.lose(c, "no answer within "+l.options.Timeout.String())
		case c.state == down && l.phase == running && now >= c.retry:
			c.retry = now + reconnectIn
			if err := l.connect(c); err != nil {
				l.stats.complain("%v", err)
			}
		}
	}
}

func (l *loop) flush(c *conn) {
	n, errno := write(c.fd, c.out)
	switch {
	case errno == unix.EAGAIN:
		return
	case errno != 0:
		l.lose(c, "write: "+errno.Error())
		return
	}
	c.out = append(c.out[:0], c.out[n:]...)
	if len(c.out) == 0 {
		c.out = nil
		if err := l.watch(c, unix.EPOLL_CTL_MOD, unix.EPOLLIN); err != nil {
			l.lose(c, err.Error())
		}
	}
}

// receive reads what is there and handles the answers in it.
func (l *loop) receive(c *conn) {
	buffer := l.in
	have := len(c.pending)
	if have > 0 {
		if cap(c.pending)-have < readSize/4 {
			grown := make([]byte, have, 2*cap(c.pending)+readSize)
			copy(grown, c.pending)
			c.pending = grown
		}
		buffer = c.pending[have:cap(c.pending)]
	}
	n, errno := read(c.fd, buffer)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return
	case errno != 0:
		l.lose(c, "read: "+errno.Error())
		return
	case n == 0:
		l.lose(c, "the server closed the connection")
		return
	}
	data := buffer[:n]
	if have > 0 {
		data = c.pending[:have+n]
	}
	now := l.now()
	rest := l.answers(c, data, now)
	if c.state != up {
		return
	}
	switch {
	case len(rest) == 0:
		c.pending = nil
	case have > 0:
		c.pending = c.pending[:copy(c.pending[:cap(c.pending)], rest)]
	default:
		c.pending = append(make([]byte, 0, max(2*len(rest), 4096)), rest...)
	}
	if l.options.Rate == 0 || l.phase == storing {
		l.fill(c, l.depth(), now)
	}
}

// answers handles whole answers and returns what is left.
func (l *loop) answers(c *conn, data []byte, now int64) []byte {
	for len(data) > 0 {
		a, n := l.wire.parse(data)
		if a.kind == partial {
			return data
		}
		if c.inFlight() == 0 {
			l.lose(c, fmt.Sprintf("an answer that nothing was asked for: %q", clip(a.line)))
			return nil
		}
		if !l.answer(c, a, now) {
			l.lose(c, fmt.Sprintf("this is no answer to a %s: %q", operationNames[c.at(c.head).op], clip(a.line)))
			return nil
		}
		data = data[n:]
	}
	return nil
}

func clip(b []byte) []byte { return b[:min(len(b), 100)] }

// answer takes a to be for the first slot in flight; it returns false when it
// cannot be.
func (l *loop) answer(c *conn, a answer, now int64) bool {
	s := c.at(c.head)
	switch {
	case a.kind == garbage:
		return false
	case a.kind == failure:
		l.stats.errors++
		l.stats.complain("%s of key %d: %s", operationNames[s.op], s.key, clip(a.line))
		l.forget(s)
		for !c.at(c.head).last {
			c.head++
		}
		l.done(c, c.at(c.head), now, false)
	case s.op == opSet:
		if a.kind != stored {
			return false
		}
		l.done(c, s, now, true)
	case s.op == opDelete:
		if a.kind != deleted && a.kind != notFound && a.kind != stored {
			return false
		}
		l.done(c, s, now, true)
	default:
		return l.found(c, s, a, now)
	}
	return true
}

// found handles an answer to a get, of which the first open slot is s.
func (l *loop) found(c *conn, s *slot, a answer, now int64) bool {
	ends := a.kind == end || a.kind == miss || a.kind == value && l.wire.single(l.options.Multiget)
	switch a.kind {
	case value:
		if a.key != nil {
			key, ok := l.wire.parseKey(a.key)
			for ok && (s.hit || uint64(s.key) != key) && !s.last {
				l.miss(s)
				c.head++
				s = c.at(c.head)
			}
			if !ok || s.hit || uint64(s.key) != key {
				return false
			}
		}
		s.hit = true
		l.verify(s, a.value)
	case miss, end:
	default:
		return false
	}
	if !ends {
		return true
	}
	for ; !s.last; s = c.at(c.head) {
		l.miss(s)
		c.head++
	}
	l.miss(s)
	l.done(c, s, now, true)
	return true
}

func (l *loop) miss(s *slot) {
	if s.hit {
		return
	}
	if s.measured {
		l.stats.misses++
	}
	if !l.options.MayMiss {
		l.stats.wrong++
		l.stats.complain("get of key %d: nothing is stored", s.key)
	}
}

func (l *loop) verify(s *slot, got []byte) {
	if s.measured {
		l.stats.hits++
		l.stats.received += int64(len(got))
	}
	if l.checked++; l.checked < l.options.Verify {
		return
	}
	l.checked = 0
	right := l.wire.contents.holds(uint64(s.key), got)
	if right && s.stamp != 0 && stampOf(got) != s.stamp {
		l.stats.wrong++
		l.stats.complain("get of key %d: a value that is not the one stored last", s.key)
	}
	if !right {
		l.stats.wrong++
		l.stats.complain("get of key %d: %d bytes, want %d; they begin with %s", s.key, len(got), l.wire.contents.sizes.of(uint64(s.key)), hex.EncodeToString(got[:min(len(got), 32)]))
	}
}

// done ends the request whose last slot is s.
func (l *loop) done(c *conn, s *slot, now int64, ok bool) {
	if ok && s.measured {
		record(l.stats.latency[s.op], now-s.intended)
		l.stats.tick(now - l.begin)
	}
	if l.outage > 0 && ok {
		l.stats.outages = append(l.stats.outages, time.Duration(now-l.outage))
		l.outage = 0
	}
	c.head++
	c.requests--
	l.asked--
}

// forget makes any value of a key acceptable whose set failed, or may have.
func (l *loop) forget(s *slot) {
	if s.op == opSet && l.latest != nil {
		l.latest[s.key] = 0
	}
}

// lose closes a connection, and counts what was in flight as errors.
func (l *loop) lose(c *conn, why string) {
	if c.state == down {
		return
	}
	if c.inFlight() > 0 || c.state == connecting {
		l.stats.complain("connection lost with %d requests in flight: %s", c.requests, why)
	}
	for i := c.head; i != c.tail; i++ {
		l.forget(c.at(i))
	}
	l.stats.errors += int64(c.requests)
	l.asked -= c.requests
	_ = unix.Close(c.fd)
	if c.state == up {
		l.stats.lost++
		l.ups--
	}
	if l.ups == 0 && l.outage == 0 && l.phase == running {
		l.outage = l.now()
	}
	c.state, c.requests, c.head, c.tail, c.pending, c.out = down, 0, 0, 0, nil, nil
	c.retry = l.now() + reconnectIn
}
