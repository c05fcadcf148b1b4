package run

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// TestParallel runs a real suite in several processes.
func TestParallel(t *testing.T) {
	notShort(t)
	t.Parallel()
	tests := []struct {
		name   string
		focus  string
		onLine func(string, chan<- os.Signal)
		want   map[string]spec.Outcome
		reason string // in the output
	}{
		{
			name: "two at the same time, one alone", focus: "AAA-4[123]",
			want: map[string]spec.Outcome{"AAA-41": spec.Passed, "AAA-42": spec.Passed, "AAA-43": spec.Passed},
		},
		{
			name: "failures and what was left behind are those of their specs", focus: "AAA-(02|08|4[12])",
			want: map[string]spec.Outcome{"AAA-41": spec.Passed, "AAA-42": spec.Passed, "AAA-02": spec.Failed, "AAA-08": spec.Leaked},
		},
		{
			name: "one process dies", focus: "AAA-(0[27]|10)",
			want:   map[string]spec.Outcome{"AAA-10": spec.Undetermined, "AAA-02": spec.Failed, "AAA-07": spec.Undetermined},
			reason: "the suite died with exit code",
		},
		{
			name: "interrupted", focus: "AAA-(01|11)",
			onLine: func(line string, signals chan<- os.Signal) {
				if strings.Contains(line, "waiting") { // the step of AAA-11
					signals <- syscall.SIGINT
				}
			},
			want:   map[string]spec.Outcome{"AAA-11": spec.Undetermined},
			reason: "the suite cleans up",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := execute(t, func(c *config.Config, _ *recorder) { c.Select.Focus, c.Parallel, c.Verbose = tt.focus, 2, true }, tt.onLine)
			doc := o.document(t)
			got := outcomesOf(doc)
			for id, want := range tt.want {
				if got[id] != want {
					t.Errorf("%s: %q, want %q", id, got[id], want)
				}
			}
			if doc.Run.Parallel != 2 {
				t.Errorf("the report says that %d specs ran at the same time, want 2", doc.Run.Parallel)
			}
			for lane := range 2 {
				if _, err := os.Stat(filepath.Join(o.dir, logOf(lane))); err != nil {
					t.Error(err)
				}
			}
			if !strings.Contains(o.all(), tt.reason) {
				t.Errorf("the output lacks %q", tt.reason)
			}
			if t.Failed() {
				t.Logf("outcomes %v\nstdout:\n%s\nstderr:\n%s", got, o.stdout, o.stderr)
			}
		})
	}
}

func TestLanes(t *testing.T) {
	plan := []spec.Planned{
		{Spec: spec.Spec{ID: "A"}}, {Spec: spec.Spec{ID: "B"}}, {Spec: spec.Spec{ID: "C", Alone: true}},
		{Spec: spec.Spec{ID: "D", Needs: []spec.Feature{spec.Disruption}}}, {Spec: spec.Spec{ID: "E"}, Outcome: spec.Skipped},
	}
	for parallel, want := range map[int]int{0: 1, 1: 1, 2: 2, 8: 2} {
		if got := lanes(parallel, plan); got != want {
			t.Errorf("PARALLEL=%d: %d processes, want %d", parallel, got, want)
		}
	}
	if got := lanes(4, plan[2:]); got != 1 {
		t.Errorf("nothing but specs that run alone: %d processes, want 1", got)
	}
}

func TestMerged(t *testing.T) {
	leak := report.Leak{View: "api", Where: "e2e-1", What: "Pod a", Detail: "5 s"}
	later := leak
	later.Detail = "9 s"
	other := report.Leak{View: "node", Where: "node1", What: "logical volume v"}
	var kinds []report.EventKind
	m := newMerged(2, func(e report.Event) { kinds = append(kinds, e.Kind) })
	m.record(0, report.Event{Kind: report.SuiteStarted})
	m.record(1, report.Event{Kind: report.SuiteStarted})
	m.record(1, report.Event{Kind: report.SpecEnded, Result: &report.SpecResult{ID: "A", Leaks: []report.Leak{leak}}})
	m.record(1, report.Event{Kind: report.SuiteEnded})
	m.record(0, report.Event{Kind: report.LeakFound, Leak: &later})
	m.record(0, report.Event{Kind: report.LeakFound, Leak: &other})
	if m.hasEnded(0) || !m.hasEnded(1) {
		t.Error("the second process has ended, and not the first")
	}
	m.record(0, report.Event{Kind: report.SuiteEnded})
	want := []report.EventKind{report.SuiteStarted, report.SpecEnded, report.LeakFound, report.SuiteEnded}
	if !slices.Equal(kinds, want) {
		t.Errorf("events %q, want %q", kinds, want)
	}
}
