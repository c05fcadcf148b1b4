package spec

import (
	"fmt"
	"slices"
	"strings"
)

// Outcome is how a planned spec ended. Every planned spec has exactly one.
type Outcome string

const (
	Passed        Outcome = "passed"
	Failed        Outcome = "failed"         // a requirement is not met
	Undetermined  Outcome = "undetermined"   // nothing can be said: infrastructure, set-up, panic, interrupt
	Leaked        Outcome = "leaked"         // all requirements are met, but something was left behind
	Skipped       Outcome = "skipped"        // the user did not select it
	NotApplicable Outcome = "not applicable" // the cluster lacks a feature that the profile does not demand
	NotRun        Outcome = "not run"        // planned, but the run ended before it
)

// Symbol stands for the outcome on a terminal and on pages; "?" for what is no
// outcome.
func (o Outcome) Symbol() string {
	switch o {
	case Passed:
		return "✓"
	case Failed:
		return "✗"
	case Leaked:
		return "!"
	case Skipped:
		return "–"
	case NotApplicable:
		return "○"
	case NotRun:
		return "…"
	}
	return "?"
}

// Outcomes lists all of them, the worst first: so reports list them, and so the
// first counts where several come together.
func Outcomes() []Outcome {
	return []Outcome{Failed, Undetermined, NotRun, Leaked, Skipped, Passed, NotApplicable}
}

// Compare is below 0 if o is worse than other. What is no outcome is the worst.
func (o Outcome) Compare(other Outcome) int {
	all := Outcomes()
	return slices.Index(all, o) - slices.Index(all, other)
}

// Worst of outcomes, of which empty ones do not count.
func Worst(outcomes ...Outcome) Outcome {
	given := slices.DeleteFunc(slices.Clone(outcomes), func(o Outcome) bool { return o == "" })
	if len(given) == 0 {
		return ""
	}
	return slices.MinFunc(given, Outcome.Compare)
}

// Counts lists numbers of specs in words, the worst outcome first; failed and
// passed always.
func Counts(of map[Outcome]int) string {
	var parts []string
	for _, o := range Outcomes() {
		if of[o] > 0 || o == Failed || o == Passed {
			parts = append(parts, fmt.Sprintf("%d %s", of[o], o))
		}
	}
	return strings.Join(parts, ", ")
}
