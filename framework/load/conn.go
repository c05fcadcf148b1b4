package load

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// conn is one connection, used by one loop alone.
type conn struct {
	index int32  // in its loop
	owner uint64 // among the connections of all loops of a client
	fd    int
	state connState
	retry int64 // when it is down: time of the next attempt to connect; while it connects: of giving up

	// The slots in flight, in the order in which answers come: ring[head&mask]
	// to ring[(tail-1)&mask].
	ring       []slot
	head, tail uint32
	requests   int // whole requests in flight

	pending []byte // part of an answer
	out     []byte // not yet accepted by the socket
}

type connState uint8

const (
	down connState = iota
	connecting
	up
)

func (c *conn) at(i uint32) *slot { return &c.ring[i&uint32(len(c.ring)-1)] }
func (c *conn) inFlight() int     { return int(c.tail - c.head) }

// reserve makes room for n more slots.
func (c *conn) reserve(n int) {
	need := c.inFlight() + n
	if need <= len(c.ring) {
		return
	}
	size := max(len(c.ring), 16)
	for size < need {
		size *= 2
	}
	ring := make([]slot, size)
	for i := range c.inFlight() {
		ring[i] = *c.at(c.head + uint32(i))
	}
	c.ring, c.head, c.tail = ring, 0, uint32(c.inFlight())
}

func (c *conn) push(s slot) {
	*c.at(c.tail) = s
	c.tail++
}

// dial begins to connect, without waiting.
func dial(addr netip.AddrPort) (fd int, err error) {
	family := unix.AF_INET6
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	if ip := addr.Addr().Unmap(); ip.Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: ip.As4()}
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("make a socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("set TCP_NODELAY: %w", err)
	}
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect to %s: %w", addr, err)
	}
	return fd, nil
}
