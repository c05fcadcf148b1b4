package live

import (
	"fmt"
	"time"

	"pmem-memcached-e2e/framework/wait"
)

// patience is how long a part of the run takes before it is shown without a
// terminal, where each line stays.
const patience = 2 * time.Second

// Part is a part of the run outside of the specs, such as the preflight
// checks. It is safe for concurrent use.
type Part struct {
	printer *Printer
	name    string
	since   time.Time
}

// Begin shows that a part of the run begins, and what it does first.
func (p *Printer) Begin(name, what string) *Part {
	part := &Part{printer: p, name: name, since: time.Now()}
	part.Now(what)
	return part
}

// Now shows what the part does from now on.
func (part *Part) Now(what string) {
	p := part.printer
	p.mu.Lock()
	defer p.mu.Unlock()
	announced := p.now.announced && p.now.part == part
	p.running = nil
	p.now = activity{part: part, announced: announced, what: printable(part.name + ": " + what), since: part.since, waits: &wait.Open{}}
}

// End removes what the part shows, and returns how long the part took.
func (part *Part) End() time.Duration {
	p := part.printer
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now.part == part {
		p.idle("")
	}
	return time.Since(part.since)
}

// Done ends the part with a line about what came of it and how long it took.
func (part *Part) Done(result string) {
	part.printer.Topic(part.name, timed(result, part.End()))
}

// Topic prints a line that begins with what it is about.
func (p *Printer) Topic(name, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.topic(name, printable(text))
}

// timed adds how long something took.
func timed(text string, took time.Duration) string {
	return fmt.Sprintf("%s · %.1fs", text, took.Seconds())
}
