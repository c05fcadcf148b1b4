package live

import (
	"fmt"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/wait"
)

// activity is what is being done at the moment.
type activity struct {
	spec string        // id; empty outside of specs
	what string        // the spec's title or step, or the phase of the run; empty: nothing
	ask  func() string // what it is now; nil: what
	part *Part         // nil: none
	// announced is set once the part was shown without a terminal.
	announced bool
	since     time.Time
	attempt   int        // of the spec, from 1
	waits     *wait.Open // of the spec
}

// when is the time of an event, which may lack it.
func when(e report.Event) time.Time {
	if e.Time.IsZero() {
		return time.Now()
	}
	return e.Time
}

// started is the activity after the start of a spec, or of one more attempt.
func (a activity) started(e report.Event, title string) activity {
	next := activity{spec: e.Spec, what: printable(title), since: when(e), attempt: 1, waits: &wait.Open{}}
	if a.spec == e.Spec {
		next.attempt = a.attempt + 1
	}
	if next.what == "" {
		next.what = "it runs"
	}
	return next
}

func (a activity) stepped(e report.Event) activity {
	if e.Spec == a.spec {
		a.what, a.waits = printable(e.Text), &wait.Open{}
	}
	return a
}

// waited keeps the waits that have not ended. Those of an earlier spec, which
// may continue during this one, are not shown.
func (a activity) waited(e report.Event) {
	switch {
	case e.Wait == nil || e.Spec != a.spec:
	case e.Kind == report.WaitStarted:
		a.waits.Begin(*e.Wait, when(e))
	default:
		a.waits.End(*e.Wait)
	}
}

// doing is the line about what is being done.
func (p *Printer) doing() string {
	a, now := p.now, time.Now()
	if a.ask != nil {
		a.what = printable(a.ask())
	}
	var parts []string
	switch {
	case a.spec == "":
		parts = append(parts, a.what+" "+elapsed(now.Sub(a.since)))
	default:
		head := printable(a.spec) + " " + elapsed(now.Sub(a.since))
		if p.toRun > 0 {
			head = fmt.Sprintf("%d/%d %s", len(p.ended)+1, p.toRun, head)
		}
		if a.attempt > 1 {
			head += fmt.Sprintf(" attempt %d", a.attempt)
		}
		parts = append(parts, head, a.what)
	}
	if waits := a.waits.Waits(); len(waits) > 0 {
		w := waits[len(waits)-1]
		parts = append(parts, fmt.Sprintf("waiting %s of %s for %s",
			elapsed(now.Sub(w.Since)), elapsed(w.Limit), printable(w.What)))
	}
	return " ▸ " + strings.Join(parts, " · ")
}
