package lab

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"pmem-memcached-e2e/framework/wait"
)

// doing shows what the lab does at the moment; empty: nothing.
func (l *Lab) doing(what string) {
	if what == "" {
		l.progress.Doing(nil)
		return
	}
	l.progress.Doing(func() string { return what + l.waits.String() })
}

// waits are those that go on.
type waits struct {
	mu    sync.Mutex
	going []going
}

type going struct {
	wait.Record
	since time.Time
}

// watch returns a Waiter like w whose waits are known.
func (ws *waits) watch(w wait.Waiter) wait.Waiter {
	begin, observe := w.Begin, w.Observe
	w.Begin = func(r wait.Record) {
		ws.mu.Lock()
		ws.going = append(ws.going, going{r, time.Now()})
		ws.mu.Unlock()
		if begin != nil {
			begin(r)
		}
	}
	w.Observe = func(r wait.Record) {
		ws.end(r)
		if observe != nil {
			observe(r)
		}
	}
	return w
}

func (ws *waits) end(r wait.Record) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for i, g := range ws.going {
		if g.Name == r.Name && g.What == r.What {
			ws.going = append(ws.going[:i:i], ws.going[i+1:]...)
			return
		}
	}
}

// String tells what is awaited and for how long.
func (ws *waits) String() string {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var b strings.Builder
	for _, g := range ws.going {
		fmt.Fprintf(&b, " · waiting %s of %s for %s", time.Since(g.since).Truncate(time.Second), g.Limit, g.What)
	}
	return b.String()
}
