package live

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/mattn/go-runewidth"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

const indent = "     "

var styles = map[spec.Outcome]style{
	spec.Passed:        green,
	spec.Failed:        red,
	spec.Undetermined:  yellow,
	spec.Leaked:        yellow,
	spec.Skipped:       dim,
	spec.NotApplicable: dim,
	spec.NotRun:        yellow,
}

func (p *Printer) symbol(o spec.Outcome) string { return p.paint(styles[o], o.Symbol()) }

const (
	titleWidth = 72 // columns of a title where there is room, or no terminal
	narrow     = 60 // columns of a terminal on which the level is left out
)

// headline is the line about a spec. Only a terminal cuts its title.
func (p *Printer) headline(r report.SpecResult) string {
	title := printable(r.Title)
	switch {
	case r.Outcome == spec.Passed && r.Attempts > 1:
		title = fmt.Sprintf("flaky, passed at attempt %d: %s", r.Attempts, title)
	case r.Attempts > 1:
		title = fmt.Sprintf("%s at attempt %d: %s", printable(string(r.Outcome)), r.Attempts, title)
	case r.Outcome != spec.Passed:
		title = printable(string(r.Outcome)) + ": " + title
	}
	head := fmt.Sprintf("%-7s ", printable(r.ID))
	took := ""
	if r.Took > 0 {
		took = fmt.Sprintf("  %7.1fs", r.Took.Seconds())
	}
	room := titleWidth
	if p.screen.terminal {
		width := p.screen.width()
		if width >= narrow {
			head += fmt.Sprintf("%-6s  ", printable(string(r.Level)))
		}
		const symbol, time = 3, 10
		room = max(min(titleWidth, width-1-symbol-len(head)-time), 1)
		title = cut(title, room)
	} else {
		head += fmt.Sprintf("%-6s  ", printable(string(r.Level)))
	}
	return strings.TrimRight(fmt.Sprintf(" %s %s%s%s", p.symbol(r.Outcome), head, runewidth.FillRight(title, room), took), " ")
}

// spec shows a spec that has ended.
func (p *Printer) spec(r report.SpecResult) {
	p.ended[r.ID] = true
	p.line(p.headline(r))
	if r.Outcome == spec.Passed {
		return
	}
	title := printable(r.ID + " " + string(r.Outcome))
	p.fold(r.ID, title, func() { p.details(r) })
	p.annotate(title, annotation(r))
}

// details are what a stranger needs to know about a spec that did not pass.
func (p *Printer) details(r report.SpecResult) {
	// With one failure, and after a leak, the reason says the same again.
	same := len(r.Failures) > 0 && (r.Outcome == spec.Failed || r.Reason == r.Failures[0].Title()) ||
		len(r.Leaks) > 0 && r.Outcome == spec.Leaked
	if !same && r.Reason != "" {
		p.line(indent + printable(r.Reason))
	}
	for _, f := range r.Failures {
		p.failure(f)
	}
	for _, l := range r.Leaks {
		p.line(indent + "left behind: " + printable(l.String()))
	}
	p.pointers(r)
}

func (p *Printer) failure(f report.Failure) {
	if text := p.texts[f.Requirement]; text != "" {
		p.line(indent + p.paint(bold, printable(string(f.Requirement)+" "+text)))
		p.field("checked", f.Check)
	} else {
		p.line(indent + p.paint(bold, printable(f.Title())))
	}
	for _, field := range f.Fields() {
		p.field(field.Name, field.Text)
	}
}

// field prints a value under its name, its first lines only if there are many.
func (p *Printer) field(name, text string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	for i, line := range bounded(text, p.inReport("index.html")) {
		if i > 0 {
			name = ""
		}
		p.line(strings.TrimRight(fmt.Sprintf("%s%-8s  %s", indent, name, line), " "))
	}
}

// pointers are where the evidence lies and how to see it again, on one line if
// they fit.
func (p *Printer) pointers(r report.SpecResult) {
	evidence, again := "", ""
	if r.Evidence != "" {
		evidence = fmt.Sprintf("%-8s  %s/", "evidence", printable(filepath.Join(p.ReportDir, r.Evidence)))
	}
	if r.Again != "" {
		again = "again  " + clean(r.Again)
	}
	both := evidence + "   " + again
	switch {
	case evidence != "" && again != "" && (!p.screen.terminal || runewidth.StringWidth(indent+both) < p.screen.width()):
		p.line(indent + both)
	default:
		for _, text := range []string{evidence, again} {
			if text != "" {
				p.line(indent + text)
			}
		}
	}
}
