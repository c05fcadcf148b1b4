// Package lane lets several processes share the specs of a run. Each of them
// is a lane: it has all specs in the same order and asks before each one
// whether to run it. The process that has started the lanes answers.
package lane

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"time"
)

// Descriptor is the descriptor of a lane's end of its connection.
const Descriptor = 5

// question is what a lane asks, or reports.
type question struct {
	About topic
	Spec  string `json:",omitempty"` // of take
	Alone bool   `json:",omitempty"` // of take
}

type topic string

const (
	begin topic = "begin" // may the lane look at the cluster?
	begun topic = "begun" // the lane has looked at the cluster
	take  topic = "take"  // is the spec the lane's?
)

type answer struct{ Yes bool }

// A Client is a lane's end of the connection. It is used by one goroutine. A nil
// Client is that of a process that has all specs to itself: it never waits.
type Client struct {
	conn   net.Conn
	decode *json.Decoder
}

// Inherited is the client of a process that was started as a lane.
func Inherited() (*Client, error) {
	f := os.NewFile(Descriptor, "lane")
	defer f.Close() // conn has a copy
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("connect to the process that started the lane: %w", err)
	}
	return newClient(conn), nil
}

func newClient(conn net.Conn) *Client { return &Client{conn, json.NewDecoder(conn)} }

// Begin waits until the lane may look at the cluster: the first one does so
// before the others.
func (c *Client) Begin(ctx context.Context) error {
	_, err := c.ask(ctx, question{About: begin})
	return err
}

// Begun lets the other lanes begin.
func (c *Client) Begun(ctx context.Context) error {
	_, err := c.ask(ctx, question{About: begun})
	return err
}

// Take waits until the spec with an id may run and reports whether this lane
// runs it. Specs that run alone are the first lane's, after the others have
// ended. A spec that the lane has taken can be taken again.
func (c *Client) Take(ctx context.Context, id string, alone bool) (bool, error) {
	return c.ask(ctx, question{About: take, Spec: id, Alone: alone})
}

func (c *Client) ask(ctx context.Context, q question) (bool, error) {
	if c == nil {
		return true, nil
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Now()) })
	defer stop()
	fail := func(err error) (bool, error) {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return false, fmt.Errorf("ask the process that started the lane about %s %s: %w", q.About, q.Spec, err)
	}
	if err := json.NewEncoder(c.conn).Encode(q); err != nil {
		return fail(err)
	}
	var a answer
	if err := c.decode.Decode(&a); err != nil {
		return fail(err)
	}
	return a.Yes, nil
}
