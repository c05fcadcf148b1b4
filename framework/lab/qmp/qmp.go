// Package qmp speaks QEMU's machine protocol to a virtual machine that runs.
package qmp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// Monitor is a connection to a virtual machine. QEMU serves one at a time.
type Monitor struct {
	conn    net.Conn
	decoder *json.Decoder
}

// message is what QEMU says: a greeting, an answer, or an event.
type message struct {
	Greeting json.RawMessage `json:"QMP"`
	Return   json.RawMessage `json:"return"`
	Error    *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

// Dial connects to the monitor that listens at path, within the time of ctx.
func Dial(ctx context.Context, path string) (*Monitor, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("monitor of QEMU: %w", err)
	}
	m := &Monitor{conn: conn, decoder: json.NewDecoder(conn)}
	if err := m.greet(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("monitor of QEMU at %s: %w", path, err), m.Close())
	}
	return m, nil
}

func (m *Monitor) greet(ctx context.Context) error {
	defer m.until(ctx)()
	var greeting message
	if err := m.decoder.Decode(&greeting); err != nil {
		return because(ctx, fmt.Errorf("its greeting: %w", err))
	}
	if greeting.Greeting == nil {
		return errors.New("what listens there does not speak QMP")
	}
	return m.Execute(ctx, Command{Execute: "qmp_capabilities"}, nil)
}

// Command is an instruction to QEMU. Arguments may be nil.
type Command struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
}

// Execute has QEMU carry out a command and stores its answer in result, unless
// that is nil.
func (m *Monitor) Execute(ctx context.Context, c Command, result any) error {
	defer m.until(ctx)()
	command := c.Execute
	if err := json.NewEncoder(m.conn).Encode(c); err != nil {
		return because(ctx, fmt.Errorf("%s: %w", command, err))
	}
	for {
		var answer message
		if err := m.decoder.Decode(&answer); err != nil {
			return because(ctx, fmt.Errorf("answer to %s: %w", command, err))
		}
		switch {
		case answer.Error != nil:
			return fmt.Errorf("%s: QEMU refused: %s", command, answer.Error.Desc)
		case answer.Return == nil: // an event
			continue
		case result == nil:
			return nil
		}
		if err := json.Unmarshal(answer.Return, result); err != nil {
			return fmt.Errorf("answer to %s: %w", command, err)
		}
		return nil
	}
}

// Close ends the connection, not the virtual machine.
func (m *Monitor) Close() error { return m.conn.Close() }

// until has reads and writes fail when ctx ends, until the function that it
// returns is called.
func (m *Monitor) until(ctx context.Context) (stop func()) {
	end := context.AfterFunc(ctx, func() { m.conn.SetDeadline(time.Unix(1, 0)) })
	return func() { end() }
}

func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}
