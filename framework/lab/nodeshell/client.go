package nodeshell

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Session is a command and what it is connected with.
type Session struct {
	// Args are the command and its arguments. A single one is a line for the
	// shell, none is the shell itself.
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminal is nil for a command without one.
	Terminal *Terminal
}

// Terminal describes the terminal that the command gets. All of its output
// goes to Stdout then.
type Terminal struct {
	Type    string // such as "xterm", the value of TERM
	Size    Size
	Resized <-chan Size
}

// ErrNoAnswer is wrapped by errors that say that nobody serves the port.
var ErrNoAnswer = errors.New("no answer")

// answerLimit is how long a node that serves the port needs at most. An
// emulated one that is busy has been seen to take a second.
const answerLimit = 5 * time.Second

// Run has the node at the other end of conn carry out s, and returns the exit
// code of the command: 128 and more if a signal ended it. It closes conn. When
// ctx ends first, so does the command.
func Run(ctx context.Context, conn net.Conn, s Session) (code int, err error) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	code, err = run(conn, s)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return code, err
}

func run(conn net.Conn, s Session) (int, error) {
	r := request{Token: rand.Text(), Args: s.Args}
	if s.Terminal != nil {
		r.Term, r.Size = s.Terminal.Type, s.Terminal.Size
	}
	text, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	to := &frames{w: conn}
	if err := to.write(kindRequest, text); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(answerLimit)); err != nil {
		return 0, err
	}
	if err := skipTo(conn, r.Token); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return 0, err
	}
	if s.Stdin != nil {
		go sendInput(to, s.Stdin)
	} else if err := to.write(kindInputEnd, nil); err != nil {
		return 0, err
	}
	if s.Terminal != nil {
		stop := make(chan struct{})
		defer close(stop)
		go sendSizes(to, s.Terminal.Resized, stop)
	}
	return receive(conn, s)
}

// skipTo reads the stream up to the end of the token.
func skipTo(r io.Reader, token string) error {
	var last []byte
	for one := make([]byte, 1); !bytes.HasSuffix(last, []byte(token)); {
		if _, err := io.ReadFull(r, one); err != nil {
			return err
		}
		if last = append(last, one...); len(last) > len(token) {
			last = last[1:]
		}
	}
	return nil
}

// sendInput ends with the connection if not before; what cannot be sent any
// more has nobody to tell.
func sendInput(to *frames, in io.Reader) {
	if _, err := io.Copy(to.of(kindInput), in); err == nil {
		_ = to.write(kindInputEnd, nil)
	}
}

func sendSizes(to *frames, sizes <-chan Size, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case size, ok := <-sizes:
			if !ok {
				return
			}
			if text, err := json.Marshal(size); err != nil || to.write(kindResize, text) != nil {
				return
			}
		}
	}
}

func receive(conn io.Reader, s Session) (int, error) {
	for {
		k, payload, err := readFrame(conn)
		if errors.Is(err, io.EOF) {
			return 0, errors.New("the node ended before the command did")
		}
		if err != nil {
			return 0, fmt.Errorf("what the node says: %w", err)
		}
		switch k {
		case kindOutput:
			_, err = s.Stdout.Write(payload)
		case kindErrors:
			_, err = s.Stderr.Write(payload)
		case kindEnd:
			var e ending
			if err := json.Unmarshal(payload, &e); err != nil {
				return 0, fmt.Errorf("how the command ended: %w", err)
			}
			if e.Trouble != "" {
				return 0, errors.New(e.Trouble)
			}
			return e.Code, nil
		default:
			err = fmt.Errorf("a frame of kind %d, which no node sends", k)
		}
		if err != nil {
			return 0, err
		}
	}
}
