// Package liar is a memcached that lies: a proxy in front of a real one that changes what is asked or answered, by one
// fault, so that a check can be shown to notice it. It understands memcached's text protocol with its meta commands and
// passes the binary one on as it is.
package liar

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// dialLimit bounds the connection to the real memcached.
const dialLimit = 10 * time.Second

// A Liar answers in place of the memcached at Upstream, host:port.
type Liar struct {
	Upstream string
	Fault    Fault

	memory memory
}

// ErrDied is how a Liar ends whose fault is that memcached does.
var ErrDied = errors.New("memcached ends, by its fault")

// Serve answers on listener until ctx ends, which closes it, or until it dies by its fault. A connection that fails ends alone.
func (l *Liar) Serve(ctx context.Context, listener net.Listener) error {
	kind, ok := faults[l.Fault]
	if !ok {
		return fmt.Errorf("fault %q: there are %v", l.Fault, Faults())
	}
	var conversations sync.WaitGroup
	defer conversations.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	for {
		client, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		}
		conversations.Go(func() {
			defer client.Close()
			defer context.AfterFunc(ctx, func() { client.Close() })()
			if err := l.converse(ctx, client, kind); err != nil {
				cancel(err)
			}
		})
	}
}

// converse answers one client. Its error is that of all.
func (l *Liar) converse(ctx context.Context, client net.Conn, kind kind) error {
	d := net.Dialer{Timeout: dialLimit}
	server, err := d.DialContext(ctx, "tcp", l.Upstream)
	if err != nil {
		return nil
	}
	defer server.Close()
	defer context.AfterFunc(ctx, func() { server.Close() })()
	c := conversation{client: client, server: server, asked: bufio.NewReader(client), answered: bufio.NewReader(server)}
	for {
		if start, err := c.asked.Peek(1); err != nil || start[0] == binaryMagic {
			c.passOn()
			return nil
		}
		r, err := readRequest(c.asked)
		if err != nil {
			return nil
		}
		if kind.dies != nil && kind.dies(&l.memory) {
			return ErrDied
		}
		if kind.ends != nil && kind.ends(&l.memory) {
			return nil
		}
		if err := kind.wait(ctx); err != nil {
			return nil
		}
		original := r.verb()
		if kind.ask != nil && r.fields != nil {
			kind.ask(&l.memory, r)
		}
		switch r.verb() {
		case "quit", "watch", "shutdown":
			if _, err := server.Write(r.bytes()); err == nil {
				c.passOn()
			}
			return nil
		}
		first := ""
		if kind.before != nil {
			first = kind.before(&l.memory, r)
		}
		if err := c.exchange(first, r, func(parts []*part) []*part {
			if kind.answer == nil {
				return parts
			}
			return kind.answer(&l.memory, original, r, parts)
		}); err != nil {
			return nil
		}
	}
}

// binaryMagic begins a request of the binary protocol.
const binaryMagic = 0x80

// noOperation is answered by noAnswer, whatever came before it.
const (
	noOperation = "mn"
	noAnswer    = "MN"
)

type conversation struct {
	client, server  net.Conn
	asked, answered *bufio.Reader
}

// exchange sends a request, after quiet commands, and returns what is made of the answer. It asks for no operation, too, so that also an answer
// that may be missing or have several lines has an end; memcached refuses that next to a dump, whose end is known.
func (c *conversation) exchange(first string, r *request, change func([]*part) []*part) error {
	ask, dumps := append([]byte(first), r.bytes()...), r.dumps()
	if r.verb() != noOperation && !dumps {
		ask = append(ask, noOperation+lineEnd...)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.server.Write(ask)
		sent <- err
	}()
	var parts []*part
	for {
		p, err := readPart(c.answered)
		if err != nil {
			return errors.Join(err, c.server.Close(), <-sent)
		}
		if p.is(noAnswer) {
			if r.verb() == noOperation {
				parts = append(parts, p)
			}
			break
		}
		parts = append(parts, p)
		if dumps && p.endsDump() {
			break
		}
	}
	if err := <-sent; err != nil {
		return err
	}
	var answer []byte
	for _, p := range change(parts) {
		answer = append(answer, p.bytes()...)
	}
	_, err := c.client.Write(answer)
	return err
}

// passOn copies in both directions until one of them ends.
func (c *conversation) passOn() {
	var done sync.WaitGroup
	done.Go(func() {
		_, _ = io.Copy(c.client, c.answered) // the other end sees that it ended
		c.client.Close()
	})
	_, _ = io.Copy(c.server, c.asked)
	c.server.Close()
	done.Wait()
}
