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
	closing chan struct{} // closed at the end of the Close that goes on; nil when none does
}

type entry struct {
	what string
	undo func(context.Context) error
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

// Close undoes all entries, those added meanwhile included, one after the other, last in first out. It goes
// on after an error, and after ctx has ended, and returns all errors joined, each naming its
// entry. Entries are undone once: a second call does nothing unless entries were added in between. A
// call beside another one waits for it, at most until its own ctx ends, which is an error; so the function
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
			errs = append(errs, fmt.Errorf("removing %s: %w", e.what, err))
		}
		l.remove(e)
	}
}

// begin waits until no other Close goes on.
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
			return fmt.Errorf("the removal of %q goes on elsewhere: %w", l.Left(), context.Cause(ctx))
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
