package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Order is a line of JSON for a client that takes orders: it prepares a
// load, and starts on a second order, so that several start together.
type Order struct {
	Prepare *Options `json:"prepare,omitempty"`
	Go      bool     `json:"go,omitempty"`
	End     bool     `json:"end,omitempty"` // there are no more orders
}

// Answer is the line that a client writes.
type Answer struct {
	Ready  bool    `json:"ready,omitempty"` // of Prepare, and once at the start
	Result *Result `json:"result,omitempty"`
	Error  string  `json:"error,omitempty"`  // why the order could not be carried out
	Server bool    `json:"server,omitempty"` // the error is a [StoreError]
}

// Serve takes orders until one ends it, or in does because its master has died:
// a load that is under way is stopped then. The error is about in and out, or the
// cause of the end of ctx.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	stopped := ctx.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	orders := make(chan Order)
	broken := make(chan error, 1)
	go func() {
		defer close(orders)
		err := readOrders(ctx, in, orders)
		broken <- err
		cancel(errors.Join(errors.New("there is nobody to give orders"), err))
	}()
	answers := json.NewEncoder(out)
	if err := answers.Encode(Answer{Ready: true}); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	c := &client{}
	defer c.close()
	for {
		select {
		case <-stopped:
			return context.Cause(ctx)
		case order, ok := <-orders:
			if !ok {
				return <-broken
			}
			if err := answers.Encode(c.obey(ctx, order)); err != nil {
				return fmt.Errorf("answer: %w", err)
			}
		}
	}
}

func readOrders(ctx context.Context, in io.Reader, orders chan<- Order) error {
	dec := json.NewDecoder(bufio.NewReader(in))
	dec.DisallowUnknownFields()
	for {
		var o Order
		err := dec.Decode(&o)
		if errors.Is(err, io.EOF) || err == nil && o.End {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		select {
		case orders <- o:
		case <-ctx.Done():
			return nil
		}
	}
}

// client is what Serve has prepared.
type client struct{ prepared *Prepared }

func (c *client) close() {
	if c.prepared != nil {
		c.prepared.Close()
		c.prepared = nil
	}
}

func (c *client) obey(ctx context.Context, o Order) Answer {
	fail := func(err error) Answer {
		c.close()
		_, server := errors.AsType[*StoreError](err)
		return Answer{Error: err.Error(), Server: server}
	}
	switch {
	case o.Prepare != nil && !o.Go:
		c.close()
		p, err := Prepare(ctx, *o.Prepare)
		if err != nil {
			return fail(err)
		}
		c.prepared = p
		return Answer{Ready: true}
	case o.Go && o.Prepare == nil:
		if c.prepared == nil {
			return fail(errors.New("go: nothing is prepared"))
		}
		defer c.close()
		r, err := c.prepared.Measure(ctx)
		if err != nil {
			return fail(err)
		}
		return Answer{Result: &r}
	}
	return fail(errors.New("an order is either to prepare or to go"))
}
