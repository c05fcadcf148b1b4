// Package ledger remembers what was created so that it is removed, last in first out.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// A Ledger lists what has to be undone. The zero value is empty and ready for use; a Ledger is safe
// for concurrent use and must not be copied.
type Ledger struct {
	mu      sync.Mutex
	entries []entry
}

type entry struct {
	what string
	undo func(context.Context) error
}

// Add registers undo, which removes what.
func (l *Ledger) Add(what string, undo func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, entry{what, undo})
}

// Len returns the number of entries that were not undone yet.
func (l *Ledger) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// Close undoes all entries, those added meanwhile included, last in first out. It goes on after an
// error, and after ctx has ended, and returns all errors joined, each naming its entry. Entries are undone once:
// a second call does nothing unless entries were added in between.
func (l *Ledger) Close(ctx context.Context) error {
	var errs []error
	for {
		e, ok := l.pop()
		if !ok {
			return errors.Join(errs...)
		}
		if err := e.run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("removing %s: %w", e.what, err))
		}
	}
}

func (l *Ledger) pop() (entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) == 0 {
		return entry{}, false
	}
	last := len(l.entries) - 1
	e := l.entries[last]
	l.entries = l.entries[:last]
	return e, true
}

func (e entry) run(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return e.undo(ctx)
}
