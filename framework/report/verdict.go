package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Verdict is what a run says about the deployment under test.
type Verdict string

const (
	Conformant    Verdict = "CONFORMANT"
	NotConformant Verdict = "NOT CONFORMANT"
	Unknown       Verdict = "UNDETERMINED"
)

// Exit codes of the runner.
const (
	ExitConformant    = 0
	ExitNotConformant = 1
	ExitUndetermined  = 2
	ExitUsage         = 3
	ExitInterrupted   = 130
)

// Verdict is Conformant only when at least one spec was planned, every planned
// spec passed and nothing went wrong around them. A failed spec decides
// against the deployment whatever else happened.
func (s Summary) Verdict() Verdict {
	switch {
	case s.Count(Failed) > 0:
		return NotConformant
	case len(s.Results) == 0 || len(s.Trouble) > 0 || !s.passedAll():
		return Unknown
	default:
		return Conformant
	}
}

// ExitCode is the runner's exit code for v.
func (v Verdict) ExitCode() int {
	switch v {
	case Conformant:
		return ExitConformant
	case NotConformant:
		return ExitNotConformant
	default:
		return ExitUndetermined
	}
}

// Write prints a line for each spec that did not pass and each trouble, the
// counts, and the verdict as the last line.
func (s Summary) Write(w io.Writer, reportDir string) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range s.Results {
		if r.Outcome != Passed {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.Outcome, r.ID, r.Level, r.Took.Round(100*time.Millisecond), r.Reason)
		}
	}
	for _, t := range s.Trouble {
		fmt.Fprintf(table, "trouble\t\t\t\t%s\n", t)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	passed, failed := s.Count(Passed), s.Count(Failed)
	counts := []string{fmt.Sprintf("%d passed", passed), fmt.Sprintf("%d failed", failed)}
	for _, o := range []Outcome{Undetermined, NotRun} {
		if n := s.Count(o); n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, o))
		}
	}
	_, err := fmt.Fprintf(w, "%d passed, %d failed\nverdict  %s (%s) · reports in %s\n",
		passed, failed, s.Verdict(), strings.Join(counts, ", "), reportDir)
	return err
}
