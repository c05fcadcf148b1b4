package lab

import (
	"fmt"
	"strings"
	"time"
)

// doing shows what the lab does at the moment; empty: nothing.
func (l *Lab) doing(what string) {
	if what == "" {
		l.progress.Doing(nil)
		return
	}
	l.progress.Doing(func() string { return what + l.waiting() })
}

// waiting reports what is awaited and for how long.
func (l *Lab) waiting() string {
	var b strings.Builder
	for _, w := range l.waits.Waits() {
		fmt.Fprintf(&b, " · waiting %s of %s for %s", time.Since(w.Since).Truncate(time.Second), w.Limit, w.What)
	}
	return b.String()
}
