package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2/types"
)

func it(id string, state types.SpecState) types.SpecReport {
	return types.SpecReport{
		LeafNodeType: types.NodeTypeIt, LeafNodeText: id + " some title",
		LeafNodeLabels: []string{id, "MUST", "ephemeral"}, State: state, RunTime: 2 * time.Second,
	}
}

func failing(s types.SpecReport, node types.NodeType, message string) types.SpecReport {
	s.Failure = types.Failure{Message: message, FailureNodeType: node}
	return s
}

func lost(s types.SpecReport) types.SpecReport {
	s.ReportEntries = types.ReportEntries{{Name: ClusterLost, Value: types.WrapEntryValue("connection refused")}}
	return s
}

func node(kind types.NodeType, state types.SpecState, message string) types.SpecReport {
	return types.SpecReport{LeafNodeType: kind, State: state, Failure: types.Failure{Message: message}}
}

func planOf(ids ...string) Plan {
	var p Plan
	for _, id := range ids {
		p.Selected = append(p.Selected, Planned{ID: id, Level: "MUST"})
	}
	p.Total = len(ids)
	return p
}

// store writes doc as the suite does, so that the tests go the same way.
func store(t *testing.T, docs ...types.Report) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.json")
	data, err := json.Marshal(docs)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVerdict(t *testing.T) {
	a, b := it("EPH-01", types.SpecStatePassed), it("EPH-02", types.SpecStatePassed)
	tests := []struct {
		name     string
		plan     Plan
		doc      types.Report
		outcomes []Outcome
		trouble  string // part of the only trouble; empty: none
		want     Verdict
	}{
		{"all passed", planOf("EPH-01", "EPH-02"), types.Report{SuiteSucceeded: true, SpecReports: types.SpecReports{a, b}},
			[]Outcome{Passed, Passed}, "", Conformant},
		{"one failed", planOf("EPH-01", "EPH-02"), types.Report{SpecReports: types.SpecReports{
			failing(it("EPH-01", types.SpecStateFailed), types.NodeTypeIt, "no dax\nmore"), b}},
			[]Outcome{Failed, Passed}, "", NotConformant},
		{"time-out is a failure", planOf("EPH-01"), types.Report{SpecReports: types.SpecReports{it("EPH-01", types.SpecStateTimedout)}},
			[]Outcome{Failed}, "", NotConformant},
		{"left behind is a failure", planOf("EPH-01"), types.Report{SpecReports: types.SpecReports{
			failing(it("EPH-01", types.SpecStateFailed), types.NodeTypeCleanupAfterEach, "removing claim: timed out")}},
			[]Outcome{Failed}, "", NotConformant},
		{"set-up of a spec failed", planOf("EPH-01"), types.Report{SpecReports: types.SpecReports{
			failing(it("EPH-01", types.SpecStateFailed), types.NodeTypeBeforeEach, "no namespace")}},
			[]Outcome{Undetermined}, "", Unknown},
		{"the cluster went away", planOf("EPH-01"), types.Report{SpecReports: types.SpecReports{
			lost(failing(it("EPH-01", types.SpecStateFailed), types.NodeTypeIt, "not ready"))}},
			[]Outcome{Undetermined}, "", Unknown},
		{"panic", planOf("EPH-01"), types.Report{SpecReports: types.SpecReports{
			failing(it("EPH-01", types.SpecStatePanicked), types.NodeTypeIt, "Test Panicked")}},
			[]Outcome{Undetermined}, "", Unknown},
		{"a failure outweighs a panic", planOf("EPH-01", "EPH-02"), types.Report{SpecReports: types.SpecReports{
			it("EPH-01", types.SpecStatePanicked), failing(it("EPH-02", types.SpecStateFailed), types.NodeTypeIt, "cold")}},
			[]Outcome{Undetermined, Failed}, "", NotConformant},
		{"interrupted", planOf("EPH-01", "EPH-02"), types.Report{
			SpecialSuiteFailureReasons: []string{"Interrupted by User"},
			SpecReports:                types.SpecReports{it("EPH-01", types.SpecStateInterrupted), it("EPH-02", types.SpecStateSkipped)}},
			[]Outcome{Undetermined, NotRun}, "Interrupted by User", Unknown},
		{"the set-up of the suite failed", planOf("EPH-01"), types.Report{SpecReports: types.SpecReports{
			node(types.NodeTypeBeforeSuite, types.SpecStateFailed, "connection refused\nsee log"), it("EPH-01", types.SpecStateSkipped)}},
			[]Outcome{NotRun}, "BeforeSuite failed: connection refused", Unknown},
		{"the clean-up of the suite failed", planOf("EPH-01"), types.Report{SpecReports: types.SpecReports{
			a, node(types.NodeTypeCleanupAfterSuite, types.SpecStateFailed, "namespace left")}},
			[]Outcome{Passed}, "namespace left", Unknown},
		{"not selected is not planned", planOf("EPH-01"), types.Report{SuiteSucceeded: true, SpecReports: types.SpecReports{
			a, it("EPH-02", types.SpecStateSkipped)}},
			[]Outcome{Passed}, "", Conformant},
		{"a spec skipped itself", planOf("EPH-01"), types.Report{SuiteSucceeded: true, SpecReports: types.SpecReports{
			failing(it("EPH-01", types.SpecStateSkipped), types.NodeTypeIt, "no dax here")}},
			[]Outcome{NotRun}, "", Unknown},
		{"pending", planOf("EPH-01"), types.Report{SuiteSucceeded: true, SpecReports: types.SpecReports{it("EPH-01", types.SpecStatePending)}},
			[]Outcome{NotRun}, "", Unknown},
		{"absent", planOf("EPH-01", "EPH-02"), types.Report{SuiteSucceeded: true, SpecReports: types.SpecReports{a}},
			[]Outcome{Passed, NotRun}, "", Unknown},
		{"empty run", planOf(), types.Report{SuiteSucceeded: true}, nil, "", Unknown},
		{"unplanned", planOf("EPH-01"), types.Report{SuiteSucceeded: true, SpecReports: types.SpecReports{a, b}},
			[]Outcome{Passed}, "EPH-02 ran although", Unknown},
		{"focused by code", planOf("EPH-01"), types.Report{SuiteSucceeded: true, SuiteHasProgrammaticFocus: true, SpecReports: types.SpecReports{a}},
			[]Outcome{Passed}, "focuses", Unknown},
		{"failed without a reason", planOf("EPH-01"), types.Report{SpecReports: types.SpecReports{a}},
			[]Outcome{Passed}, "calls itself failed", Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sum, err := Read(store(t, tt.doc), tt.plan)
			if err != nil {
				t.Fatal(err)
			}
			var outcomes []Outcome
			for _, r := range sum.Results {
				outcomes = append(outcomes, r.Outcome)
			}
			if !slices.Equal(outcomes, tt.outcomes) {
				t.Errorf("outcomes %q, want %q", outcomes, tt.outcomes)
			}
			switch {
			case tt.trouble == "" && len(sum.Trouble) > 0:
				t.Errorf("trouble %q, want none", sum.Trouble)
			case tt.trouble != "" && (len(sum.Trouble) != 1 || !strings.Contains(sum.Trouble[0], tt.trouble)):
				t.Errorf("trouble %q, want one with %q", sum.Trouble, tt.trouble)
			}
			if got := sum.Verdict(); got != tt.want {
				t.Errorf("Verdict() = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	cut := filepath.Join(dir, "cut.json")
	if err := os.WriteFile(cut, []byte(`[{"SuitePath":`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "none.json"), "no such file"},
		{"cut off", cut, "unexpected end"},
		{"two suites", store(t, types.Report{}, types.Report{}), "holds 2 suites"},
		{"no suite", store(t), "suites, want 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Read(tt.path, planOf("EPH-01")); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Read() = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestReadPlan(t *testing.T) {
	plan, err := ReadPlan(store(t, types.Report{SpecReports: types.SpecReports{
		node(types.NodeTypeBeforeSuite, types.SpecStatePassed, ""),
		it("EPH-01", types.SpecStatePassed), it("EPH-02", types.SpecStateSkipped),
	}}))
	if err != nil {
		t.Fatal(err)
	}
	if plan.Total != 2 || len(plan.Selected) != 1 {
		t.Fatalf("plan %+v, want 1 of 2", plan)
	}
	got := plan.Selected[0]
	if got.ID != "EPH-01" || got.Title != "some title" || got.Level != "MUST" {
		t.Errorf("selected %+v", got)
	}
	if want := []string{"EPH-01", "EPH-02", "MUST", "ephemeral"}; !slices.Equal(plan.Labels, want) {
		t.Errorf("labels %q, want %q", plan.Labels, want)
	}
}

func TestWrite(t *testing.T) {
	sum := Summary{
		Results: []Result{
			{Planned: Planned{ID: "EPH-01", Level: "MUST"}, Outcome: Passed},
			{Planned: Planned{ID: "EPH-03", Level: "MUST"}, Outcome: Failed, Took: 12345 * time.Millisecond, Reason: "EPH-03 is not met"},
			{Planned: Planned{ID: "RST-01", Level: "MUST"}, Outcome: NotRun, Reason: "skipped"},
		},
		Trouble: []string{"BeforeSuite failed: no answer"},
	}
	var text strings.Builder
	if err := sum.Write(&text, "/tmp/report"); err != nil {
		t.Fatal(err)
	}
	want := `failed   EPH-03  MUST  12.3s  EPH-03 is not met
not run  RST-01  MUST  0s     skipped
trouble                       BeforeSuite failed: no answer
1 passed, 1 failed
verdict  NOT CONFORMANT (1 passed, 1 failed, 1 not run) · reports in /tmp/report
`
	if text.String() != want {
		t.Errorf("Write() printed\n%swant\n%s", &text, want)
	}
}

func TestExitCodes(t *testing.T) {
	for v, want := range map[Verdict]int{Conformant: 0, NotConformant: 1, Unknown: 2} {
		if got := v.ExitCode(); got != want {
			t.Errorf("%s: exit code %d, want %d", v, got, want)
		}
	}
}
