package live

import (
	"fmt"
	"slices"
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

// runs is the activity of a spec that runs; nil if it does not.
func (p *Printer) runs(spec string) *activity {
	i := slices.IndexFunc(p.running, func(a activity) bool { return a.spec == spec })
	if i < 0 {
		return nil
	}
	return &p.running[i]
}

// started takes in the start of a spec, or of one more attempt.
func (p *Printer) started(e report.Event) {
	next := activity{spec: e.Spec, what: printable(p.titles[e.Spec]), since: when(e), attempt: 1, waits: &wait.Open{}}
	if next.what == "" {
		next.what = "it runs"
	}
	if earlier := p.runs(e.Spec); earlier != nil {
		next.attempt = earlier.attempt + 1
		*earlier = next
		return
	}
	p.running = append(p.running, next)
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
	now := time.Now()
	if len(p.running) == 0 {
		a := p.now
		if a.ask != nil {
			a.what = printable(a.ask())
		}
		return " ▸ " + a.line(a.what+" "+elapsed(now.Sub(a.since)), now)
	}
	count := ""
	if p.toRun > 0 {
		count = fmt.Sprintf("%d/%d ", len(p.ended)+len(p.running), p.toRun)
	}
	var lines []string
	for _, a := range p.running {
		head := printable(a.spec) + " " + elapsed(now.Sub(a.since))
		if a.attempt > 1 {
			head += fmt.Sprintf(" attempt %d", a.attempt)
		}
		lines = append(lines, a.line(head+" · "+a.what, now))
	}
	return " ▸ " + count + strings.Join(lines, " │ ")
}

// line is text with what is awaited.
func (a activity) line(text string, now time.Time) string {
	if waits := a.waits.Waits(); len(waits) > 0 {
		w := waits[len(waits)-1]
		text += fmt.Sprintf(" · waiting %s of %s for %s", elapsed(now.Sub(w.Since)), elapsed(w.Limit), printable(w.What))
	}
	return text
}
