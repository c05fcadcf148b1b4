// Package report decides what a run means. It reads the suite's JSON report,
// gives every planned spec exactly one outcome and derives the verdict. What
// is missing never counts as passed.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2/types"
)

// Outcome is how a planned spec ended.
type Outcome string

const (
	Passed       Outcome = "passed"
	Failed       Outcome = "failed"       // the deployment does not do what is required, or was not removed
	Undetermined Outcome = "undetermined" // the set-up failed, the spec panicked or was interrupted
	NotRun       Outcome = "not run"      // planned, and nothing is known about it
)

// ClusterLost names the report entry of a failed spec whose cluster no longer
// answered: what the spec saw says nothing about the deployment.
const ClusterLost = "cluster lost"

// Planned is a spec that was selected to run.
type Planned struct {
	ID     string
	Title  string
	Level  string
	Labels []string
}

// Plan is what a dry run selects.
type Plan struct {
	Selected []Planned
	Total    int      // specs before selection
	Labels   []string // every label in use, sorted
}

// Result is a planned spec with its outcome.
type Result struct {
	Planned
	Outcome Outcome
	Took    time.Duration
	Reason  string // one line; empty when passed
}

// Summary is a whole run.
type Summary struct {
	Results []Result
	Trouble []string // what went wrong outside of the specs, one line each
}

// ReadPlan reads the JSON report of a dry run.
func ReadPlan(path string) (Plan, error) {
	doc, err := read(path)
	if err != nil {
		return Plan{}, err
	}
	var plan Plan
	for _, s := range doc.SpecReports {
		if s.LeafNodeType != types.NodeTypeIt {
			continue
		}
		plan.Total++
		plan.Labels = append(plan.Labels, s.Labels()...)
		if s.State == types.SpecStatePassed {
			plan.Selected = append(plan.Selected, planned(s))
		}
	}
	slices.SortFunc(plan.Selected, func(a, b Planned) int { return strings.Compare(a.ID, b.ID) })
	slices.Sort(plan.Labels)
	plan.Labels = slices.Compact(plan.Labels)
	return plan, nil
}

// Read reads the JSON report of a run and gives each spec of the plan its
// outcome. A report that is missing or malformed is an error.
func Read(path string, plan Plan) (Summary, error) {
	doc, err := read(path)
	if err != nil {
		return Summary{}, err
	}
	return summarise(doc, plan), nil
}

func read(path string) (types.Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return types.Report{}, fmt.Errorf("read the suite's report: %w", err)
	}
	var docs []types.Report
	if err := json.Unmarshal(data, &docs); err != nil {
		return types.Report{}, fmt.Errorf("read the suite's report %s: %w", path, err)
	}
	if len(docs) != 1 {
		return types.Report{}, fmt.Errorf("read the suite's report %s: it holds %d suites, want 1", path, len(docs))
	}
	return docs[0], nil
}

func planned(s types.SpecReport) Planned {
	p := Planned{ID: s.LeafNodeText, Labels: s.Labels()}
	if len(s.LeafNodeLabels) > 0 {
		p.ID = s.LeafNodeLabels[0] // spec.Spec.Labels starts with the id
	}
	p.Title = strings.TrimSpace(strings.TrimPrefix(s.LeafNodeText, p.ID))
	for _, level := range []string{"MUST", "SHOULD"} {
		if slices.Contains(p.Labels, level) {
			p.Level = level
		}
	}
	return p
}

func summarise(doc types.Report, plan Plan) Summary {
	var sum Summary
	reports := map[string]types.SpecReport{}
	for _, s := range doc.SpecReports {
		switch {
		case s.LeafNodeType == types.NodeTypeIt:
			reports[planned(s).ID] = s
		case s.Failed():
			sum.Trouble = append(sum.Trouble, fmt.Sprintf("%s %s: %s", s.LeafNodeType, s.State, firstLine(s.Failure.Message)))
		}
	}
	for _, p := range plan.Selected {
		s, ok := reports[p.ID]
		if !ok {
			sum.Results = append(sum.Results, Result{Planned: p, Outcome: NotRun, Reason: "absent from the suite's report"})
			continue
		}
		delete(reports, p.ID)
		sum.Results = append(sum.Results, result(p, s))
	}
	for id, s := range reports {
		if !s.State.Is(types.SpecStateSkipped | types.SpecStatePending) {
			sum.Trouble = append(sum.Trouble, fmt.Sprintf("spec %s ran although it was not planned", id))
		}
	}
	if doc.SuiteHasProgrammaticFocus {
		sum.Trouble = append(sum.Trouble, "the suite's code focuses single specs, so the others cannot run")
	}
	for _, r := range doc.SpecialSuiteFailureReasons {
		sum.Trouble = append(sum.Trouble, firstLine(r))
	}
	if !doc.SuiteSucceeded && len(sum.Trouble) == 0 && sum.passedAll() {
		sum.Trouble = append(sum.Trouble, "the suite calls itself failed although every spec passed")
	}
	slices.Sort(sum.Trouble)
	sum.Trouble = slices.Compact(sum.Trouble)
	return sum
}

func result(p Planned, s types.SpecReport) Result {
	r := Result{Planned: p, Took: s.RunTime, Reason: firstLine(s.Failure.Message)}
	inSetUp := s.Failure.FailureNodeType.Is(types.NodeTypeBeforeEach)
	lost := slices.ContainsFunc(s.ReportEntries, func(e types.ReportEntry) bool { return e.Name == ClusterLost })
	switch {
	case s.State.Is(types.SpecStatePassed):
		r.Outcome = Passed
	case s.State.Is(types.SpecStateFailed|types.SpecStateTimedout) && !inSetUp && !lost:
		r.Outcome = Failed
	case s.State.Is(types.SpecStateFailureStates):
		r.Outcome = Undetermined
	default:
		r.Outcome = NotRun
		if r.Reason == "" {
			r.Reason = s.State.String()
		}
	}
	if lost {
		r.Reason = ClusterLost + ": " + r.Reason
	}
	if s.State.Is(types.SpecStatePanicked) {
		r.Reason += ": " + firstLine(s.Failure.ForwardedPanic)
	}
	return r
}

func (s Summary) passedAll() bool {
	return !slices.ContainsFunc(s.Results, func(r Result) bool { return r.Outcome != Passed })
}

// Count is the number of results with outcome o.
func (s Summary) Count(o Outcome) int {
	n := 0
	for _, r := range s.Results {
		if r.Outcome == o {
			n++
		}
	}
	return n
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
