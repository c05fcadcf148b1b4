package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"pmem-memcached-e2e/framework/load"
)

// attach connects the standard streams of a client until its process ends.
type attach func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error

// link is a client that takes orders, see [load.Serve]. It is used by one
// goroutine.
type link struct {
	name    string
	stdin   *io.PipeWriter
	answers chan load.Answer // closed when there will be no more

	ordering sync.Mutex // one order is written at a time
	orders   *json.Encoder

	mu    sync.Mutex
	ended error // why there will be no more answers
	said  tail  // on standard error
}

// newLink attaches, writes program to the client and then listens to it.
func newLink(ctx context.Context, name string, program []byte, to attach) *link {
	stdinReader, stdin := io.Pipe()
	stdoutReader, stdout := io.Pipe()
	l := &link{name: name, orders: json.NewEncoder(stdin), stdin: stdin, answers: make(chan load.Answer, 1)}
	go func() {
		err := to(ctx, stdinReader, stdout, &l.said)
		_ = stdinReader.CloseWithError(io.ErrClosedPipe) // nobody reads what is written from now on
		if err == nil {
			err = io.EOF
		}
		_ = stdout.CloseWithError(err)
	}()
	go l.listen(stdoutReader)
	go func() {
		// An error here is one of the stream, which listen reports.
		_, _ = stdin.Write(program)
	}()
	return l
}

func (l *link) listen(r *io.PipeReader) {
	defer close(l.answers)
	dec := json.NewDecoder(r)
	for {
		var a load.Answer
		if err := dec.Decode(&a); err != nil {
			rest, _ := io.ReadAll(io.LimitReader(io.MultiReader(dec.Buffered(), r), 200))
			l.end(err, rest)
			_ = r.CloseWithError(err)
			return
		}
		l.answers <- a
	}
}

func (l *link) end(err error, rest []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.Join(strings.Fields(string(rest)+" "+l.said.String()), " ")
	switch {
	case errors.Is(err, io.EOF):
		l.ended = errors.New("its process ended")
	default:
		l.ended = err
	}
	if text != "" {
		l.ended = fmt.Errorf("%w: %q", l.ended, text)
	}
}

// err says why there are no more answers.
func (l *link) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended == nil {
		return errors.New("it does not answer")
	}
	return l.ended
}

// order writes an order, after those that are being written.
func (l *link) order(o load.Order) error {
	l.ordering.Lock()
	defer l.ordering.Unlock()
	return l.orders.Encode(o)
}

// letGo orders the client to end, without waiting for it. The end of its
// standard input would be enough, but not every container runtime hands it on.
func (l *link) letGo() {
	go func() {
		_ = l.order(load.Order{End: true}) // else it is gone already
		_ = l.stdin.Close()
	}()
}

// tail keeps the last bytes that were written to it.
type tail struct {
	mu   sync.Mutex
	last []byte
}

const tailSize = 2000 // bytes

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if over := len(t.last) - tailSize; over > 0 {
		t.last = bytes.Clone(t.last[over:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.last)
}
