package spec

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

// Outcomes lists all of them, the best first.
func Outcomes() []Outcome {
	return []Outcome{Passed, NotApplicable, Skipped, NotRun, Undetermined, Leaked, Failed}
}
