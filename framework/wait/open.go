package wait

import (
	"slices"
	"sync"
	"time"
)

// Open keeps the waits that have begun and not ended. The zero value is empty
// and ready for use, also by several goroutines.
type Open struct {
	mu    sync.Mutex
	waits []OpenWait
}

// OpenWait is a wait that has not ended.
type OpenWait struct {
	Record
	Since time.Time
}

// Begin adds a wait.
func (o *Open) Begin(r Record, since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waits = append(o.waits, OpenWait{r, since})
}

// End removes the oldest wait with the name and the text of r.
func (o *Open) End(r Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, w := range o.waits {
		if w.Name == r.Name && w.What == r.What {
			o.waits = slices.Delete(o.waits, i, i+1)
			return
		}
	}
}

// Waits returns the open waits in the order in which they began.
func (o *Open) Waits() []OpenWait {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.waits)
}

// Watch returns a Waiter like w whose waits are kept in o while they are open.
func (o *Open) Watch(w Waiter) Waiter {
	begin, observe := w.Begin, w.Observe
	w.Begin = func(r Record) {
		o.Begin(r, time.Now())
		if begin != nil {
			begin(r)
		}
	}
	w.Observe = func(r Record) {
		o.End(r)
		if observe != nil {
			observe(r)
		}
	}
	return w
}
