// Package ledger remembers what was created so that it is removed, last in first out.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// A Ledger lists what has to be undone. The zero value is empty and ready for use; a Ledger is safe
// for concurrent use and must not be copied.
type Ledger struct {
	mu      sync.Mutex
	entries []*entry
	closing chan struct{} // closed at the end of the Close that is running; nil if none is
}

type entry struct {
	what string
	undo func(context.Context) error
}

// A RemovalError reports an entry that could not be undone.
type RemovalError struct {
	What string // as it was given to Add
	Err  error
}

func (e *RemovalError) Error() string { return fmt.Sprintf("removing %s: %v", e.What, e.Err) }

func (e *RemovalError) Unwrap() error { return e.Err }

// RemovalErrors returns every RemovalError in err, an error of Close or one
// that wraps or joins such errors, in their order.
func RemovalErrors(err error) []*RemovalError {
	switch err := err.(type) {
	case *RemovalError:
		return []*RemovalError{err}
	case interface{ Unwrap() error }:
		return RemovalErrors(err.Unwrap())
	case interface{ Unwrap() []error }:
		var all []*RemovalError
		for _, e := range err.Unwrap() {
			all = append(all, RemovalErrors(e)...)
		}
		return all
	}
	return nil
}

// Add registers undo, which removes what.
func (l *Ledger) Add(what string, undo func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, &entry{what, undo})
}

// Len returns the number of entries that were not undone yet.
func (l *Ledger) Len() int { return len(l.Left()) }

// Left names the entries that were not undone yet, in the order in which they will be. One that is
// being undone is among them.
func (l *Ledger) Left() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var left []string
	for _, e := range slices.Backward(l.entries) {
		left = append(left, e.what)
	}
	return left
}

// Close undoes all entries, including those added meanwhile, one after the other, last in first out. It
// continues after an error, and after ctx has ended, and returns all errors joined, each of them a
// RemovalError. Entries are undone once: a second call does nothing unless entries were added in between.
// Concurrent calls wait for each other, at most until their ctx ends, which is an error; so the function
// of an entry must not close its ledger.
func (l *Ledger) Close(ctx context.Context) error {
	if err := l.begin(ctx); err != nil {
		return err
	}
	defer l.end()
	var errs []error
	for {
		e, ok := l.last()
		if !ok {
			return errors.Join(errs...)
		}
		if err := e.run(ctx); err != nil {
			errs = append(errs, &RemovalError{What: e.what, Err: err})
		}
		l.remove(e)
	}
}

// begin waits until no other Close is running.
func (l *Ledger) begin(ctx context.Context) error {
	for {
		l.mu.Lock()
		other := l.closing
		if other == nil {
			l.closing = make(chan struct{})
			l.mu.Unlock()
			return nil
		}
		l.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return fmt.Errorf("another removal of %q is still running: %w", l.Left(), context.Cause(ctx))
		}
	}
}

func (l *Ledger) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.closing)
	l.closing = nil
}

func (l *Ledger) last() (*entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) == 0 {
		return nil, false
	}
	return l.entries[len(l.entries)-1], true
}

func (l *Ledger) remove(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = slices.DeleteFunc(l.entries, func(other *entry) bool { return other == e })
}

func (e *entry) run(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return e.undo(ctx)
}
