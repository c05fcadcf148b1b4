package lane

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A Dispatcher decides which lane runs which spec. A spec goes to the lane
// that asks for it first.
type Dispatcher struct {
	begun func()
	first <-chan struct{}   // the first lane has looked at the cluster, or has ended
	ended []<-chan struct{} // by lane
	end   []func()

	mu    sync.Mutex
	taken map[string]int // lane by spec
}

// NewDispatcher has lanes that are numbered from 0.
func NewDispatcher(lanes int) *Dispatcher {
	d := &Dispatcher{taken: map[string]int{}}
	d.first, d.begun = signal()
	for range lanes {
		ended, end := signal()
		d.ended, d.end = append(d.ended, ended), append(d.end, end)
	}
	return d
}

// signal returns a channel and what closes it.
func signal() (<-chan struct{}, func()) {
	c := make(chan struct{})
	return c, sync.OnceFunc(func() { close(c) })
}

// Serve answers a lane until its end, which closes the connection.
func (d *Dispatcher) Serve(lane int, conn io.ReadWriter) error {
	defer d.leave(lane)
	decode, encode := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var q question
		err := decode.Decode(&q)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET):
			return nil
		case err != nil:
			return fmt.Errorf("read what lane %d asks: %w", lane+1, err)
		}
		if encode.Encode(answer{d.answer(lane, q)}) != nil {
			return nil // the process is gone: how it has ended is for who waits for it
		}
	}
}

func (d *Dispatcher) leave(lane int) {
	d.end[lane]()
	if lane == 0 {
		d.begun() // the others must not wait for a lane that is gone
	}
}

func (d *Dispatcher) answer(lane int, q question) bool {
	switch q.About {
	case begin:
		if lane > 0 {
			<-d.first
		}
	case begun:
		if lane == 0 {
			d.begun()
		}
	case take:
		if !q.Alone {
			return d.take(lane, q.Spec)
		}
		if lane > 0 {
			return false
		}
		for _, ended := range d.ended[1:] {
			<-ended
		}
	}
	return true
}

func (d *Dispatcher) take(lane int, id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if by, ok := d.taken[id]; ok {
		return by == lane
	}
	d.taken[id] = lane
	return true
}

// Pair makes a connection. The lane's end is for a child process.
func Pair() (own net.Conn, lane *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to a lane: %w", err)
	}
	near := os.NewFile(uintptr(fds[0]), "lane")
	defer near.Close() // own has a copy
	lane = os.NewFile(uintptr(fds[1]), "lane")
	if own, err = net.FileConn(near); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("connect to a lane: %w", err), lane.Close())
	}
	return own, lane, nil
}
