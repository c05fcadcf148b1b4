package load

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

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
		n, err := l.wait(patrolEvery)
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
	c.fd, c.state, c.retry = fd, connecting, l.now()+min(connectIn, int64(l.options.Timeout))
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

// shortWait is one that the scheduler need not know of. Else its monitor wakes
// every 20 µs to take the processor from a thread that is back at once.
const shortWait = int64(200 * time.Microsecond)

// noWait is less than it takes to go to sleep and come back.
const noWait = int64(5 * time.Microsecond)

// poll waits at most limit nanoseconds for events; below noWait not at all.
func (l *loop) poll(limit int64) (int, error) {
	if limit < noWait {
		limit = 0
	}
	timeout := unix.NsecToTimespec(limit)
	call := unix.Syscall6
	if limit <= shortWait {
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
	n, err := l.wait(limit)
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
		case c.state == connecting && l.phase == running && now >= c.retry:
			l.lose(c, "connect: no answer")
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
