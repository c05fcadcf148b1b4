package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"pmem-memcached-e2e/framework/wait"
)

// EventKind says what an Event is about.
type EventKind string

const (
	SuiteStarted EventKind = "suite started" // Text: seed
	SpecStarted  EventKind = "spec started"
	StepStarted  EventKind = "step"         // Text: what comes next in the spec
	WaitStarted  EventKind = "wait started" // Wait: What, Name and Limit
	WaitEnded    EventKind = "wait ended"   // Wait
	FactFound    EventKind = "fact"         // Fact
	Measured     EventKind = "measured"     // Benchmark
	SpecEnded    EventKind = "spec ended"   // Result
	LeakFound    EventKind = "leak"         // Leak: at the end of the suite, of no single spec
	Uncompared   EventKind = "not compared" // Text: what leaks could not be looked for in, and why
	ErrorMet     EventKind = "error"        // Text
	WorkDone     EventKind = "work"         // Work: of a process that runs specs, at its end
	SuiteEnded   EventKind = "suite ended"  // the last; a suite without it has died
)

// Event is something that happens in a run. The suite's process writes them as
// lines of JSON while it goes, so that nothing is lost when it dies.
type Event struct {
	Time      time.Time
	Kind      EventKind
	Spec      string       `json:",omitempty" redact:"-"` // id; empty outside of specs
	Text      string       `json:",omitempty"`
	Wait      *wait.Record `json:",omitempty"`
	Fact      *Fact        `json:",omitempty"`
	Benchmark *Benchmark   `json:",omitempty"`
	Result    *SpecResult  `json:",omitempty"`
	Leak      *Leak        `json:",omitempty"`
	Work      *Work        `json:",omitempty"`
}

// defect says why e is no event; empty when it is one.
func (e Event) defect() string {
	missing := ""
	switch e.Kind {
	case SuiteStarted, SuiteEnded, StepStarted, ErrorMet, Uncompared:
	case SpecStarted:
		if e.Spec == "" {
			missing = "Spec"
		}
	case WaitStarted, WaitEnded:
		if e.Wait == nil {
			missing = "Wait"
		}
	case FactFound:
		if e.Fact == nil {
			missing = "Fact"
		}
	case Measured:
		if e.Benchmark == nil {
			missing = "Benchmark"
		}
	case LeakFound:
		if e.Leak == nil {
			missing = "Leak"
		}
	case WorkDone:
		if e.Work == nil {
			missing = "Work"
		}
	case SpecEnded:
		if e.Result == nil {
			missing = "Result"
		}
	default:
		return fmt.Sprintf("Kind is %q, which is none", e.Kind)
	}
	if missing != "" {
		return fmt.Sprintf("Kind is %q, which needs %s", e.Kind, missing)
	}
	return ""
}

// WriteEvent writes e as one line.
func WriteEvent(w io.Writer, e Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// ReadEvents calls fn for each event until r ends or fn fails. It reads on
// after a line that is no event, so that whoever writes is never held up, and
// returns the first such error at the end; a last line that is cut off is one.
func ReadEvents(r io.Reader, fn func(Event) error) error {
	lines := bufio.NewReader(r)
	var first error
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return first
		case errors.Is(err, io.EOF):
			return errors.Join(first, fmt.Errorf("event %d is cut off after %d bytes: %.80q; its writer died", n, len(line), line))
		case err != nil:
			return errors.Join(first, fmt.Errorf("read event %d: %w", n, err))
		}
		e, err := parseEvent(line)
		if err != nil {
			if first == nil {
				first = fmt.Errorf("event %d: %.80q: %w", n, bytes.TrimSuffix(line, []byte("\n")), err)
			}
			continue
		}
		if err := fn(e); err != nil {
			return errors.Join(first, err)
		}
	}
}

func parseEvent(line []byte) (Event, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	var e Event
	if err := dec.Decode(&e); err != nil {
		return Event{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Event{}, errors.New("there is more than one value in the line")
	}
	if defect := e.defect(); defect != "" {
		return Event{}, errors.New(defect)
	}
	return e, nil
}
