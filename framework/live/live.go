// Package live shows a run while it runs: what is planned, what was found,
// each spec as it ends, and the verdict. It gets data and decides nothing.
package live

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

const (
	refresh = 200 * time.Millisecond // of the line about what is being done, on a terminal
	silence = 30 * time.Second       // after which that line is printed without one
)

// Printer shows a run on one output. It is safe for concurrent use.
type Printer struct {
	Verbose   bool   // show every step and every fact; set before use
	ReportDir string // absolute; where the report and evidence/ go; set before use
	// Secrets removes secrets from what is printed; set before use.
	Secrets *redact.Redactor

	mu      sync.Mutex
	screen  screen
	ci      ci
	texts   map[spec.ReqID]string // of the requirements
	all     []spec.Requirement
	titles  map[string]string // of the specs
	toRun   int               // specs
	ended   map[string]bool   // specs that were shown
	leftOut map[string]bool   // specs that the plan has shown as not to run
	now     activity          // outside of specs
	running []activity        // specs, by their start
	writers []*lines

	close      sync.Once
	stop, done chan struct{}
}

// New returns a printer for f, with colour and a line about what is being done if
// f is a terminal, and otherwise in plain lines. It reads NO_COLOR and TERM, and
// GITHUB_ACTIONS and GITLAB_CI for the forms of those, by getenv. It has to be
// closed.
func New(f *os.File, getenv func(string) string) *Printer {
	fd := int(f.Fd())
	width := func() int {
		if columns, _, err := term.GetSize(fd); err == nil && columns > 0 {
			return columns
		}
		return 80
	}
	return start(f, getenv, term.IsTerminal(fd), width)
}

func start(out io.Writer, getenv func(string) string, terminal bool, width func() int) *Printer {
	terminal = terminal && getenv("TERM") != "dumb"
	p := &Printer{
		screen: screen{
			out: out, terminal: terminal, colour: terminal && getenv("NO_COLOR") == "",
			width: width, spoken: time.Now(),
		},
		ci: ciOf(getenv), Secrets: &redact.Redactor{},
		ended: map[string]bool{}, leftOut: map[string]bool{},
		now:  activity{waits: &wait.Open{}},
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go p.tick()
	return p
}

// Close removes the line about what is being done and ends its refreshing. Lines may
// still be printed.
func (p *Printer) Close() {
	p.close.Do(func() {
		close(p.stop)
		<-p.done
		p.mu.Lock()
		defer p.mu.Unlock()
		p.screen.erase()
		for _, w := range p.writers {
			w.flush()
		}
	})
}

func (p *Printer) tick() {
	defer close(p.done)
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			p.beat()
		}
	}
}

// beat refreshes the line about what is being done, or breaks a long silence.
func (p *Printer) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.now.what == "" && len(p.running) == 0:
	case p.screen.terminal:
		p.screen.draw(p.Secrets.Text(p.doing()))
	case p.now.part != nil && !p.now.announced && time.Since(p.now.since) >= patience, time.Since(p.screen.spoken) >= silence:
		p.now.announced = true
		p.line(p.doing())
	}
}

// Doing shows what the run does outside of the specs, such as bringing up the
// cluster. It calls what again and again, which must not print; nil means that
// nothing takes long.
func (p *Printer) Doing(what func() string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if what == nil {
		p.idle("")
		return
	}
	p.running = nil
	p.now = activity{what: "it begins", ask: what, since: time.Now(), waits: &wait.Open{}}
}

func (p *Printer) idle(what string) {
	p.now = activity{what: what, since: time.Now(), waits: &wait.Open{}}
	if what == "" {
		p.screen.erase()
	}
}

// line prints one or more whole lines.
func (p *Printer) line(text string) { p.print(p.ci.harmless(text)) }

// print prints whole lines without secrets.
func (p *Printer) print(text string) { p.screen.print(p.Secrets.Text(text)) }

// topic prints a line that begins with what it is about.
func (p *Printer) topic(name, text string) { p.line(fmt.Sprintf("%-8s %s", name, text)) }

func (p *Printer) paint(s style, text string) string { return p.screen.paint(s, text) }

// inReport is the path of a file of the report as a person would type it.
func (p *Printer) inReport(path string) string {
	dir := cmp.Or(p.ReportDir, ".")
	if wd, err := os.Getwd(); err == nil && filepath.IsAbs(dir) {
		if rel, err := filepath.Rel(wd, dir); err == nil && filepath.IsLocal(rel) {
			dir = rel
		}
	}
	return printable(filepath.Join(dir, path))
}

// Writer lets others print whole lines above the line about what is being done. What
// has no line end yet is kept until it comes, or until the printer is closed.
func (p *Printer) Writer() progress.Writer {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &lines{printer: p}
	p.writers = append(p.writers, w)
	return w
}

// Doing shows what is being done below the lines.
func (l *lines) Doing(what func() string) { l.printer.Doing(what) }

type lines struct {
	printer *Printer
	rest    []byte // of a line that has not ended
}

func (l *lines) Write(data []byte) (int, error) {
	l.printer.mu.Lock()
	defer l.printer.mu.Unlock()
	l.rest = append(l.rest, data...)
	if end := bytes.LastIndexByte(l.rest, '\n'); end >= 0 {
		l.printer.line(clean(strings.TrimSuffix(string(l.rest[:end]), "\r")))
		l.rest = bytes.Clone(l.rest[end+1:])
	}
	return len(data), nil
}

func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.printer.line(clean(string(l.rest)))
		l.rest = nil
	}
}

// Requirements sets the texts that are shown with failures, and of what a plan
// examines a part.
func (p *Printer) Requirements(requirements []spec.Requirement) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.texts, p.all = map[spec.ReqID]string{}, requirements
	for _, r := range requirements {
		p.texts[r.ID] = r.Text
	}
}

// Event shows what happens.
func (p *Printer) Event(e report.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case report.SuiteStarted:
		p.topic("seed", printable(e.Text))
		p.idle("the suite begins")
	case report.SpecStarted:
		p.started(e)
	case report.StepStarted:
		if a := p.runs(e.Spec); a != nil {
			*a = a.stepped(e)
		}
		if p.Verbose {
			p.line(fmt.Sprintf("   %-7s %s", printable(e.Spec), p.paint(dim, printable(e.Text))))
		}
	case report.WaitStarted, report.WaitEnded:
		if a := p.runs(e.Spec); a != nil {
			a.waited(e)
		} else if e.Spec == "" {
			p.now.waited(e)
		}
	case report.SpecEnded:
		if e.Result != nil {
			p.spec(*e.Result)
		}
		p.running = slices.DeleteFunc(p.running, func(a activity) bool { return a.spec == e.Spec })
		p.idle("between two specs")
		if len(p.ended) >= p.toRun {
			p.idle("the suite cleans up")
		}
	case report.Measured:
		if e.Benchmark != nil {
			p.benchmark(*e.Benchmark)
		}
	case report.FactFound:
		if p.Verbose && e.Fact != nil {
			p.fact(*e.Fact)
		}
	case report.LeakFound:
		if e.Leak != nil {
			p.line(fmt.Sprintf(" %s left behind: %s", p.symbol(spec.Leaked), printable(e.Leak.String())))
		}
	case report.ErrorMet:
		p.line(fmt.Sprintf(" %s error: %s", p.symbol(spec.Undetermined), printable(e.Text)))
	case report.SuiteEnded:
		p.running = nil
		p.idle("")
	}
}
