package report

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

func took(name wait.Name, seconds ...float64) []wait.Record {
	var list []wait.Record
	for _, s := range seconds {
		list = append(list, wait.Record{Name: name, Took: time.Duration(s * float64(time.Second)), Done: true})
	}
	return list
}

func measured(operations int64, p99 time.Duration) Benchmark {
	return Benchmark{Name: "get", Profile: spec.Ephemeral, Operations: operations, Elapsed: 10 * time.Second,
		Latencies: []LatencyOfRequest{{Request: "get", Percentiles: []Percentile{{Percent: 50, Latency: time.Microsecond}, {Percent: 99, Latency: p99}}}, {Request: "set"}}}
}

// two are reports that differ in every way that is reported.
func two() (a, b Document) {
	before := recorded(Event{Kind: SpecEnded, Result: new(undetermined("RST-02"))})
	before.Run(func(run *Run) { run.ID, run.Version = "20260102T030405Z-aaaaa", "0123456789ab" })
	before.Plan(planned(map[string]spec.Outcome{"EPH-01": spec.Skipped}))
	before.Facts([]Fact{{Group: "node a", Name: "kernel", Value: "6.1"}, {Group: "image", Name: "memcached", Value: "1.6.37"}, {Group: "image", Name: "memcached", Value: "1.6.38"}, {Group: "driver", Name: "mode", Value: "lvm"}})
	a = before.Finish(at(60), nil)
	a.Specs = append(a.Specs, SpecResult{ID: "OLD-01", Title: "as it was", Outcome: spec.Passed})
	a.Requirements = append(a.Requirements, RequirementResult{Requirement: spec.Requirement{ID: "OLD-01"}, Modes: []ModeResult{{Profile: spec.Driver, Specs: []string{"OLD-01"}}}})
	a.Requirements[5].Modes = []ModeResult{{Profile: spec.Persistent, Specs: []string{"OLD-02"}}}
	a.Requirements[4].Modes = []ModeResult{{Profile: spec.Driver}}
	a.Waits = slices.Concat(took(wait.DeploymentReady, 4, 5, 60), took(wait.PodRuns, 1, 1, 1))
	a.Benchmarks = []Benchmark{measured(100_000, time.Millisecond)}

	after := recorded(Event{Kind: SpecEnded, Result: new(violating("RST-01", "RST-02"))}, Event{Kind: SpecEnded, Result: new(leaking("EPH-01"))})
	after.Run(func(run *Run) { run.ID, run.Version = "20260202T030405Z-bbbbb", "ba9876543210 with changes" })
	after.Plan(planned(map[string]spec.Outcome{"DRV-01": spec.NotApplicable}))
	after.Facts([]Fact{{Group: "image", Name: "memcached", Value: "1.6.38"}, {Group: "image", Name: "memcached", Value: "1.6.37"}, {Group: "node a", Name: "kernel", Value: "6.12 | custom"}, {Group: "node b", Name: "kernel", Value: "6.1"}})
	b = after.Finish(at(90), nil)
	b.Specs = append(b.Specs, SpecResult{ID: "NEW-01", Title: "as it is", Outcome: spec.Passed})
	b.Waits = slices.Concat(took(wait.DeploymentReady, 9, 10, 11, 12), took(wait.PodRuns, 2, 2, 2))
	b.Benchmarks = []Benchmark{measured(80_000, 1500*time.Microsecond), {Name: "new"}}
	return a, b
}

// TestDiffText has a regression in both directions: the verdict alone does
// not tell.
func TestDiffText(t *testing.T) {
	a, b := two()
	for name, d := range map[string]Diff{"forth": Compare(a, b), "back": Compare(b, a), "same": Compare(a, a), "empty": Compare(Document{}, Document{})} {
		var text, markdown bytes.Buffer
		if err := d.Text(&text); err != nil {
			t.Fatal(err)
		}
		if err := d.Markdown(&markdown); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, "diff-"+name+".txt", text.Bytes())
		golden.Check(t, "diff-"+name+".md", markdown.Bytes())
		if d.Worse() != (name == "forth" || name == "back") {
			t.Errorf("%s: Worse() = %v", name, d.Worse())
		}
	}
}

func TestSpecsAreCompared(t *testing.T) {
	const regression, fixed, lost, gained, other = "regressions", "fixed", "newly skipped or not applicable", "newly run", "other outcomes"
	P, F, U, L, S, A, N := spec.Passed, spec.Failed, spec.Undetermined, spec.Leaked, spec.Skipped, spec.NotApplicable, spec.NotRun
	want := map[[2]spec.Outcome]string{
		{P, F}: regression, {P, U}: regression, {P, L}: regression, {P, N}: regression, {P, S}: lost, {P, A}: lost,
		{F, P}: fixed, {F, U}: other, {F, L}: other, {F, N}: other, {F, S}: lost, {F, A}: lost,
		{U, P}: fixed, {U, F}: other, {U, L}: other, {U, N}: other, {U, S}: lost, {U, A}: lost,
		{L, P}: fixed, {L, F}: regression, {L, U}: regression, {L, N}: regression, {L, S}: lost, {L, A}: lost,
		{S, P}: gained, {S, F}: gained, {S, U}: gained, {S, L}: gained, {S, N}: gained, {S, A}: other,
		{A, P}: gained, {A, F}: gained, {A, U}: gained, {A, L}: gained, {A, N}: gained, {A, S}: other,
		{N, P}: fixed, {N, F}: other, {N, U}: other, {N, L}: other, {N, S}: lost, {N, A}: lost,
	}
	for _, was := range spec.Outcomes() {
		for _, now := range spec.Outcomes() {
			a, b := Document{Specs: []SpecResult{{ID: "RST-01", Outcome: was}}}, Document{Specs: []SpecResult{{ID: "RST-01", Outcome: now}}}
			d := Compare(a, b)
			got := ""
			if len(d.Sections) > 0 {
				got = d.Sections[0].Title
			}
			title, there := want[[2]spec.Outcome{was, now}]
			if got != title || there != (was != now) || len(d.Sections) > 1 {
				t.Errorf("%s → %s: reported as %q, want %q", was, now, got, title)
			}
			if d.Worse() != (title == regression) {
				t.Errorf("%s → %s: Worse() = %v", was, now, d.Worse())
			}
		}
	}
}

func TestVerdictsAreCompared(t *testing.T) {
	verdict := func(run, profile Result) Document {
		v := Verdict{Result: run, Profiles: []ProfileVerdict{{Profile: spec.Ephemeral, Result: profile}}}
		return Document{Verdict: v}
	}
	tests := []struct {
		name  string
		a, b  Document
		worse bool
	}{
		{"the same", verdict(Conformant, Conformant), verdict(Conformant, Conformant), false},
		{"the run is worse", verdict(Conformant, Conformant), verdict(ConformantKnown, Conformant), true},
		{"the run is better", verdict(Undetermined, Conformant), verdict(LeakedOnly, Conformant), false},
		{"only a profile is worse", verdict(NotConformant, Conformant), verdict(NotConformant, Undetermined), true},
		{"only a profile is better", verdict(NotConformant, Undetermined), verdict(NotConformant, Conformant), false},
		{"a profile is no longer examined", verdict(Conformant, Conformant), verdict(Conformant, NotExamined), false},
		{"a profile is examined now", verdict(NotConformant, NotExamined), verdict(NotConformant, NotConformant), false},
		{"a profile is gone", verdict(Conformant, Conformant), Document{Verdict: Verdict{Result: Conformant}}, false},
		{"a profile is new", Document{Verdict: Verdict{Result: NotConformant}}, verdict(NotConformant, NotConformant), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Compare(tt.a, tt.b)
			if d.Worse() != tt.worse {
				t.Errorf("Worse() = %v, want %v; sections %+v", d.Worse(), tt.worse, d.Sections)
			}
			changed := len(tt.a.Verdict.Profiles) != len(tt.b.Verdict.Profiles) || tt.a.Verdict.Profiles[0].Result != tt.b.Verdict.Profiles[0].Result
			if (len(d.Sections) == 1) != changed {
				t.Errorf("sections %+v, want one: %v", d.Sections, changed)
			}
		})
	}
}

func TestSlowerWaits(t *testing.T) {
	waits := func(name wait.Name, seconds ...float64) Document {
		list := took(name, seconds...)
		return Document{Waits: list[:1], Specs: []SpecResult{{ID: "RST-01", Outcome: spec.Passed, Waits: list[1:]}}}
	}
	undone := waits(wait.PodRuns, 30, 30, 30)
	undone.Waits[0].Done = false
	tests := []struct {
		name string
		a, b Document
		want string // old and new; empty: not reported
	}{
		{"twice as slow", waits(wait.PodRuns, 4, 4, 4), waits(wait.PodRuns, 8, 8, 8), "4.0s → 8.0s  2.00 times"},
		{"just slow enough", waits(wait.PodRuns, 4, 4, 4), waits(wait.PodRuns, 6, 6, 6), "4.0s → 6.0s  1.50 times"},
		{"many times, but short", waits(wait.PodRuns, 0.1, 0.1, 0.1), waits(wait.PodRuns, 2, 2, 2), ""},
		{"long, but not many times", waits(wait.PodRuns, 60, 60, 60), waits(wait.PodRuns, 80, 80, 80), ""},
		{"faster", waits(wait.PodRuns, 8, 8, 8), waits(wait.PodRuns, 4, 4, 4), ""},
		{"a single one is slower", waits(wait.PodRuns, 4, 4, 4), waits(wait.PodRuns, 4, 60, 4), ""},
		{"too few before", waits(wait.PodRuns, 4, 4), waits(wait.PodRuns, 8, 8, 8), ""},
		{"too few now", waits(wait.PodRuns, 4, 4, 4), waits(wait.PodRuns, 8, 8), ""},
		{"too few that came to their state", waits(wait.PodRuns, 4, 4, 4), undone, ""},
		{"an even number", waits(wait.PodRuns, 1, 1, 3, 4), waits(wait.PodRuns, 9, 1, 11, 13), "2.0s → 10.0s  5.00 times"},
		{"of another name", waits(wait.PodRuns, 4, 4, 4), waits(wait.PodEnds, 8, 8, 8), ""},
		{"from nothing", waits(wait.PodRuns, 0, 0, 0), waits(wait.PodRuns, 3, 3, 3), "0.0s → 3.0s  "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Compare(tt.a, tt.b)
			got := ""
			for _, s := range d.Sections {
				for _, c := range s.Changes {
					got += c.values() + "  " + c.Note
				}
			}
			if got != tt.want {
				t.Errorf("reported %q, want %q", got, tt.want)
			}
			if d.Worse() {
				t.Error("a slower wait makes a report worse")
			}
		})
	}
}

func TestMarkdownIsSafe(t *testing.T) {
	a, b := Document{}, Document{}
	b.Facts = []Fact{{Group: "a|b", Name: "<script>", Value: "x\n| y `z` [l](m) & *n*"}}
	var text strings.Builder
	if err := Compare(a, b).Markdown(&text); err != nil {
		t.Fatal(err)
	}
	const want = "| a\\|b: &lt;script&gt; |  | x<br>\\| y \\`z\\` \\[l\\](m) &amp; \\*n\\* |  |\n"
	if !strings.HasSuffix(text.String(), want) {
		t.Errorf("got\n%s\nwant at the end\n%s", &text, want)
	}
}

func TestBenchmarksThatCannotBeCompared(t *testing.T) {
	none := Document{Benchmarks: []Benchmark{{Name: "get", Operations: 10}, {Name: "new", Curves: []Curve{{Title: "restart"}}}}}
	if got := none.Benchmarks[0].PerSecond(); got != 0 {
		t.Errorf("PerSecond() = %v of nothing", got)
	}
	some := Document{Benchmarks: []Benchmark{{Name: "get", Operations: 10, Elapsed: time.Second}, {Name: "new", Operations: 10, Elapsed: time.Second}}}
	changes := compareBenchmarks(none, some)
	if len(changes) != 1 || changes[0] != (Change{What: "get () throughput", Old: "0/s", New: "10/s"}) {
		t.Errorf("%+v", changes)
	}
}

// TestRatiosAreCompared takes ratios to the control where both reports have them.
func TestRatiosAreCompared(t *testing.T) {
	doc := func(b Benchmark) Document { return Document{Benchmarks: []Benchmark{b}} }
	was := compared("requests/s", Higher, 0.94, 0.95, 0.96)
	was.Operations = 10
	invalid := compared("requests/s", Higher, 0.8, 0.82, 0.85)
	invalid.Invalid = []string{"the client was the bottleneck"}
	for _, tt := range []struct {
		name string
		was  Benchmark
		now  Benchmark
		want Change // without What
	}{
		{"the intervals overlap", was, compared("requests/s", Higher, 0.9, 0.93, 0.95), Change{Old: "0.95 (0.94-0.96)", New: "0.93 (0.90-0.95)", Note: "no change shown"}},
		{"below", was, compared("requests/s", Higher, 0.8, 0.82, 0.85), Change{Old: "0.95 (0.94-0.96)", New: "0.82 (0.80-0.85)", Note: "worse"}},
		{"above", was, compared("requests/s", Higher, 1.1, 1.2, 1.3), Change{Old: "0.95 (0.94-0.96)", New: "1.20 (1.10-1.30)", Note: "better"}},
		{"latency above", compared("p99", Lower, 0.9, 1, 1.1), compared("p99", Lower, 1.2, 1.3, 1.4), Change{Old: "1.00 (0.90-1.10)", New: "1.30 (1.20-1.40)", Note: "worse"}},
		{"latency below", compared("p99", Lower, 0.9, 1, 1.1), compared("p99", Lower, 0.6, 0.7, 0.8), Change{Old: "1.00 (0.90-1.10)", New: "0.70 (0.60-0.80)", Note: "better"}},
		{"invalid", was, invalid, Change{Old: "0.95 (0.94-0.96)", New: "0.82 (0.80-0.85)", Note: "in doubt"}},
	} {
		tt.want.What = "get-heavy (ephemeral) " + tt.was.Comparisons[0].Metric + ", ratio to the control"
		if got := compareBenchmarks(doc(tt.was), doc(tt.now)); len(got) != 1 || got[0] != tt.want {
			t.Errorf("%s: %+v, want %+v and no absolute figures", tt.name, got, tt.want)
		}
	}
	other := compared("p99", Lower, 1, 1, 1)
	other.Operations = 10
	if got := compareBenchmarks(doc(was), doc(other)); len(got) != 1 || got[0].What != "get-heavy (ephemeral) throughput" {
		t.Errorf("without a metric in common: %+v, want absolute figures", got)
	}
}

// TestCoverageOfOldReport makes sure that a report without modes, as they were
// written before, is compared by requirement.
func TestCoverageOfOldReport(t *testing.T) {
	now := recorded().Finish(at(60), nil)
	old := now
	old.Requirements = slices.Clone(now.Requirements)
	for i := range old.Requirements {
		old.Requirements[i].Modes = nil
	}
	old.Requirements[0].Specs = nil
	gained, lost := compareCoverage(old, now)
	if len(gained) != 1 || gained[0].What != "EPH-01" || len(lost) != 0 {
		t.Errorf("gained %v, lost %v", gained, lost)
	}
}
