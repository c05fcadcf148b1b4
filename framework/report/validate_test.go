package report

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/spec"
)

func TestValidReports(t *testing.T) {
	if err := ValidateFile(stored(t, eventfulDocument())); err != nil {
		t.Errorf("a run with failures: %v", err)
	}
	r := recorded()
	r.Run(func(run *Run) { run.Qualification = true })
	if err := r.Finish(at(60), nil).Validate(); err != nil {
		t.Errorf("a qualification: %v", err)
	}
	if err := ValidateFile(stored(t, regressed().Finish(at(60), []File{{Path: "evidence/RST-01/pod.yaml", Size: 6, SHA256: digest([]byte("a pod\n"))}}))); err != nil {
		t.Errorf("a benchmark run: %v", err)
	}
}

// TestValidateRefuses checks the messages as a whole, of reports whose digest
// is right.
func TestValidateRefuses(t *testing.T) {
	no := false
	qualification := func(change func(*Recorder)) Document {
		r := recorded()
		r.Run(func(run *Run) { run.Qualification = true })
		change(r)
		return r.Finish(at(60), nil)
	}
	changed := func(change func(*Document)) Document {
		d := eventfulDocument()
		d.Specs, d.Known, d.Requirements = slices.Clone(d.Specs), slices.Clone(d.Known), slices.Clone(d.Requirements)
		change(&d)
		return d
	}
	measured := func(change func(*Document)) Document {
		d := regressed().Finish(at(60), nil)
		change(&d)
		return d
	}
	tests := []struct {
		name string
		d    Document
	}{
		{"another schema", changed(func(d *Document) { d.Schema = "x" })},
		{"ended before it began", changed(func(d *Document) { d.Run.Ended = at(-1) })},
		{"another result", changed(func(d *Document) { d.Verdict.Result = Conformant })},
		{"another exit code", changed(func(d *Document) { d.Verdict.ExitCode = 0 })},
		{"a reason less", changed(func(d *Document) { d.Verdict.Reasons = d.Verdict.Reasons[:3] })},
		{"a reason more", changed(func(d *Document) { d.Verdict.Reasons = append(d.Verdict.Reasons[:6:6], "it rains") })},
		{"another reason", changed(func(d *Document) { d.Verdict.Reasons[0] = "RST-01 failed: it rains" })},
		{"another result of a profile", changed(func(d *Document) { d.Verdict.Profiles[1].Result = Conformant })},
		{"other counts", changed(func(d *Document) {
			d.Verdict.Profiles[1].Counts = map[spec.Outcome]int{spec.Passed: 2, spec.Undetermined: 1}
		})},
		{"another reason of a profile", changed(func(d *Document) { d.Verdict.Profiles[1].Reasons[0] = "" })},
		{"a profile less", changed(func(d *Document) { d.Verdict.Profiles = d.Verdict.Profiles[:2] })},
		{"a spec is called passed", changed(func(d *Document) { d.Specs[2].Outcome = spec.Passed })},
		{"an unknown outcome", changed(func(d *Document) { d.Specs[2].Outcome = "fine" })},
		{"no outcome", changed(func(d *Document) { d.Specs[2].Outcome = "" })},
		{"no reason of a spec", changed(func(d *Document) { d.Specs[0].Reason = "" })},
		{"a spec twice", changed(func(d *Document) { d.Specs = append(d.Specs, d.Specs[1]) })},
		{"a spec less", changed(func(d *Document) { d.Specs = d.Specs[:4] })},
		{"unknown level and profile", changed(func(d *Document) { d.Specs[1].Level, d.Specs[1].Profile = "MAY", "both" })},
		{"a requirement less", changed(func(d *Document) { d.Requirements = d.Requirements[1:] })},
		{"a requirement twice", changed(func(d *Document) { d.Requirements = append(d.Requirements, d.Requirements[0]) })},
		{"a requirement is called passed", changed(func(d *Document) { d.Requirements[1].Outcome = spec.Passed })},
		{"a requirement of another level", changed(func(d *Document) { d.Requirements[1].Level = spec.Should })},
		{"a requirement of other specs", changed(func(d *Document) { d.Requirements[2].Specs = nil })},
		{"a requirement is called passed in a mode", changed(func(d *Document) {
			d.Requirements[1].Modes = []ModeResult{{Profile: spec.Persistent, Outcome: spec.Passed, Specs: d.Requirements[1].Specs}}
		})},
		{"a requirement of other specs in a mode", changed(func(d *Document) {
			d.Requirements[1].Modes = []ModeResult{{Profile: spec.Persistent, Outcome: spec.Failed}}
		})},
		{"other pairs", changed(func(d *Document) { d.Verdict.Pairs.Met++ })},
		{"other pairs of a profile", changed(func(d *Document) { d.Verdict.Profiles[1].Pairs.Examined++ })},
		{"a wider scope", changed(func(d *Document) { d.Verdict.Scope = "" })},
		{"an error is kept back", changed(func(d *Document) { d.Errors = nil })},
		{"a leak is kept back", changed(func(d *Document) { d.Leaks = nil })},
		{"an interrupt is kept back", changed(func(d *Document) { d.Run.Interrupted = true })},
		{"a failure is called known", changed(func(d *Document) { d.Specs[2].Known = "https://example.org" })},
		{"a stale known failure is kept back", changed(func(d *Document) { d.Known = append(d.Known, accepted("EPH-01", "EPH-01")) })},
		{"a known failure that was not seen", changed(func(d *Document) { d.Known[0].Met = &no })},
		{"an expired known failure", changed(func(d *Document) { d.Known[0].Expires = "2026-01-01" })},
		{"more mutants killed than there are", changed(func(d *Document) { d.Mutation = &spec.Proof{Killed: 2, Mutants: 1} })},
		{"an unknown purpose", changed(func(d *Document) { d.Run.Purpose = "fun" })},
		{"another purpose", changed(func(d *Document) { d.Run.Purpose = Measuring })},
		{"a spec is called a benchmark", changed(func(d *Document) { d.Specs[1].Benchmark = true })},
		{"a regression is kept back", measured(func(d *Document) { d.Baseline = nil })},
		{"a regression is called held", measured(func(d *Document) { d.Baseline[0].State = Held })},
		{"another ratio in the baseline", measured(func(d *Document) { d.Baseline[0].Measured = nil })},
		{"a better benchmark", measured(func(d *Document) { d.Benchmarks[0].Comparisons[0].High = 1 })},
		{"a comparison that is none", measured(func(d *Document) {
			c := &d.Benchmarks[0].Comparisons[0]
			c.Better, c.Low, c.Pairs = "more", 0.9, 9
		})},
		{"raw figures elsewhere", measured(func(d *Document) { d.Benchmarks[0].Raw = "bench/get-heavy.json" })},
		{"a comparison without a control", measured(func(d *Document) { d.Benchmarks[0].Control = nil })},
		{"a benchmark run is called conformant", measured(func(d *Document) { d.Baseline, d.Verdict.Result = nil, Conformant })},
		{"qualification with the purpose to measure", measured(func(d *Document) { d.Run.Qualification = true })},
		{"qualification with retries", qualification(func(r *Recorder) { r.Run(func(run *Run) { run.Retries = 2 }) })},
		{"qualification with a selection", qualification(func(r *Recorder) { r.Run(func(run *Run) { run.Selection = `LABELS="MUST"` }) })},
		{"qualification that was interrupted", qualification(func(r *Recorder) { r.Run(func(run *Run) { run.Interrupted = true }) })},
		{"qualification with a flaky spec", qualification(func(r *Recorder) { r.Record(ending(func(s *SpecResult) { s.Attempts = 2 })) })},
		{"qualification with a skipped check", qualification(func(r *Recorder) { r.Preflight([]Check{{Name: "images", State: CheckSkipped}}) })},
		{"qualification with a skipped spec", func() Document {
			r := NewRecorder(Run{Started: start, Qualification: true}, catalogue())
			r.Plan(planned(map[string]spec.Outcome{"RST-02": spec.Skipped}))
			return r.Finish(at(1), nil)
		}()},
		{"several defects of a qualification", qualification(func(r *Recorder) {
			r.Run(func(run *Run) { run.Retries, run.Selection = 1, "FOCUS=x" })
			r.Preflight([]Check{{Name: "images", State: CheckSkipped}})
		})},
	}
	var got strings.Builder
	for _, tt := range tests {
		err := tt.d.Validate()
		if err == nil {
			t.Errorf("%s: Validate() accepts it", tt.name)
		}
		fmt.Fprintf(&got, "# %s\n%v\n\n", tt.name, err)
	}
	golden.Check(t, "validate-errors.txt", []byte(got.String()))
}

// regressed is a benchmark run that is worse than its baseline.
func regressed() *Recorder {
	r := NewRecorder(Run{Started: start, Purpose: Measuring}, catalogue())
	plan := planned(map[string]spec.Outcome{"DRV-01": spec.Skipped, "RST-01": spec.Skipped, "RST-02": spec.Skipped, "RST-03": spec.Skipped})
	for i := range plan {
		if plan[i].ID == "EPH-01" {
			plan[i].Tags = []string{spec.BenchmarkTag}
		}
	}
	r.Plan(plan)
	r.Baseline([]BaselineEntry{getHeavy()})
	r.Record(Event{Kind: SuiteStarted, Time: at(1)})
	r.Record(Event{Kind: SpecStarted, Spec: "EPH-01", Time: at(2)})
	slow, result := compared("requests/s", Higher, 0.8, 0.82, 0.85), passing("EPH-01")
	slow.Spec = "EPH-01"
	r.Record(Event{Kind: Measured, Spec: "EPH-01", Benchmark: &slow, Time: at(3)})
	r.Record(Event{Kind: SpecEnded, Spec: "EPH-01", Result: &result, Time: at(4)})
	r.Record(Event{Kind: SuiteEnded, Time: at(5)})
	return r
}

// TestMeasuredAgain keeps what the last attempt has measured.
func TestMeasuredAgain(t *testing.T) {
	r := regressed()
	r.Record(Event{Kind: SpecStarted, Spec: "EPH-01", Time: at(6)})
	if d := r.Finish(at(60), nil); len(d.Benchmarks) != 0 || d.Baseline[0].State != NotMeasured {
		t.Errorf("benchmarks %v and baseline %v of an attempt that came to nothing", d.Benchmarks, d.Baseline)
	}
	if err := r.Finish(at(60), nil).Validate(); err != nil {
		t.Errorf("Validate() = %v", err)
	}
}

// TestTampering changes every line of a report, and its evidence in every way.
func TestTampering(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: run it without -short")
	}
	path := stored(t, eventfulDocument())
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string) {
		t.Helper()
		if err := ValidateFile(path); err == nil {
			t.Errorf("%s: ValidateFile() accepts it", what)
		}
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	lines = lines[:len(lines)-1] // what follows the last end of line is empty
	put := func(changed [][]byte) {
		t.Helper()
		if err := os.WriteFile(path, bytes.Join(changed, nil), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i, line := range lines {
		flipped := bytes.Clone(line)
		flipped[len(line)/2] ^= 1
		for what, with := range map[string][][]byte{
			"flipped": {flipped}, "removed": {}, "twice": {line, line}, "spaced": {bytes.Replace(line, []byte("\n"), []byte(" \n"), 1)},
		} {
			put(slices.Concat(lines[:i], with, lines[i+1:]))
			refused(fmt.Sprintf("line %d %s", i+1, what))
		}
	}
	put(append(slices.Clone(lines), []byte("\n")))
	refused("a line more")
	put(lines[:len(lines)-1])
	refused("a line less")
	put(lines)
	if err := ValidateFile(path); err != nil {
		t.Fatalf("the report as it was: %v", err)
	}

	dir := filepath.Join(filepath.Dir(path), "evidence")
	evidence := filepath.Join(dir, "RST-01", "pod.yaml")
	original := []byte("a pod\n")
	for i := range original {
		changed := bytes.Clone(original)
		changed[i] ^= 1
		if err := os.WriteFile(evidence, changed, 0o644); err != nil {
			t.Fatal(err)
		}
		refused(fmt.Sprintf("byte %d of the evidence", i))
	}
	if err := os.WriteFile(evidence, original, 0o644); err != nil {
		t.Fatal(err)
	}
	added := filepath.Join(dir, "EPH-01", "more.txt")
	if err := WriteFiles(filepath.Dir(added), map[string][]byte{"more.txt": nil}); err != nil {
		t.Fatal(err)
	}
	refused("evidence was added")
	if err := os.Remove(added); err != nil {
		t.Fatal(err)
	}
	if err := ValidateFile(path); err != nil {
		t.Fatalf("the evidence as it was: %v", err)
	}
	if err := os.Symlink(evidence, added); err != nil {
		t.Fatal(err)
	}
	refused("a symbolic link was added")
	if err := os.Remove(added); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(evidence, evidence+".bak"); err != nil {
		t.Fatal(err)
	}
	refused("evidence was renamed")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	refused("all evidence was removed")
}

// TestValidateFileTellsAll checks the messages about the file itself.
func TestValidateFileTellsAll(t *testing.T) {
	path := stored(t, eventfulDocument())
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		file func() []byte
	}{
		{"an altered value", func() []byte { return bytes.Replace(data, []byte("seed: 7"), []byte("seed: 8"), 1) }},
		{"an altered value of another type", func() []byte { return bytes.Replace(data, []byte("seed: 7"), []byte("seed: eight"), 1) }},
		{"an altered verdict", func() []byte { return bytes.Replace(data, []byte("exitCode: 1"), []byte("exitCode: 0"), 1) }},
		{"a cut file", func() []byte { return data[:40] }},
		{"altered and added evidence", func() []byte {
			d := eventfulDocument()
			d.Evidence = append(d.Evidence, File{Path: "evidence/x", SHA256: "0"}, File{Path: "../secret", SHA256: "0"}, d.Evidence[0])
			d.Evidence[0].Size = 7
			out, err := Encode(d)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}},
		{"no evidence in the report", func() []byte {
			d := eventfulDocument()
			d.Evidence = nil
			out, err := Encode(d)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}},
	}
	var got strings.Builder
	for _, tt := range tests {
		if err := os.WriteFile(path, tt.file(), 0o644); err != nil {
			t.Fatal(err)
		}
		err := ValidateFile(path)
		if err == nil {
			t.Errorf("%s: ValidateFile() accepts it", tt.name)
		}
		fmt.Fprintf(&got, "# %s\n%s\n\n", tt.name, strings.ReplaceAll(fmt.Sprint(err), path, "report.yaml"))
	}
	golden.Check(t, "file-errors.txt", []byte(got.String()))
	if err := ValidateFile(filepath.Join(t.TempDir(), "none.yaml")); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("ValidateFile() = %v for a file that is not there", err)
	}
}

// TestCountsOfNothing makes sure that a profile without counts is not taken
// for one with the right ones.
func TestCountsOfNothing(t *testing.T) {
	d := recorded().Finish(at(60), nil)
	d.Verdict.Profiles = slices.Clone(d.Verdict.Profiles)
	d.Verdict.Profiles[0].Counts = maps.Clone(d.Verdict.Profiles[0].Counts)
	clear(d.Verdict.Profiles[0].Counts)
	if err := d.Validate(); err == nil || !strings.Contains(err.Error(), `counts is "", from the specs follows "1 passed"`) {
		t.Errorf("Validate() = %v", err)
	}
}
