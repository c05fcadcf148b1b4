package report

import (
	"slices"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/spec"
)

func skippedSpec(id string) SpecResult {
	s := passing(id)
	s.Outcome, s.Reason, s.Complete, s.Attempts, s.Examined = spec.Skipped, "not now", false, 0, nil
	return s
}

// TestVerdictOfPurpose judges runs of both kinds. EPH-01 is the benchmark of
// the ephemeral profile, RST-01 and RST-02 are those of the persistent one.
func TestVerdictOfPurpose(t *testing.T) {
	bench := func(s SpecResult) SpecResult {
		s.Benchmark = true
		return s
	}
	measuring := func(d *Document) { d.Run.Purpose = Measuring }
	with := func(b ...Benchmark) func(*Document) {
		return func(d *Document) {
			d.Baseline, d.Benchmarks = []BaselineEntry{getHeavy()}, b
		}
	}
	slow := compared("requests/s", Higher, 0.8, 0.82, 0.85)
	fine := compared("requests/s", Higher, 0.94, 0.95, 0.96)
	signed := func(d *Document) { d.Run.Qualification = true }
	const regression = "get-heavy (ephemeral) requests/s is worse than the baseline: ratio 0.82, 95 % interval 0.80 to 0.85, 8 pairs; the baseline is 0.95 with a tolerance of 10 %"
	tests := []struct {
		name    string
		specs   []SpecResult
		changes []func(*Document)
		result  Result
		code    int
		reasons []string
	}{
		{name: "conformance: benchmarks are not missed", specs: []SpecResult{passing("RST-03"), bench(skippedSpec("RST-01"))}, result: Conformant},
		{name: "conformance: another MUST is", specs: []SpecResult{passing("RST-03"), skippedSpec("RST-01"), bench(skippedSpec("EPH-01"))},
			result: Undetermined, code: 2, reasons: []string{"1 MUST specs were skipped on request: RST-01"}},
		{name: "conformance: nothing but benchmarks", specs: []SpecResult{bench(skippedSpec("RST-01"))},
			result: Undetermined, code: 2, reasons: []string{"no spec was run"}},
		{name: "qualification without a baseline", specs: []SpecResult{passing("RST-03"), bench(skippedSpec("RST-01"))}, changes: []func(*Document){signed}, result: Conformant},
		{name: "qualification with a baseline misses benchmarks", specs: []SpecResult{passing("RST-03"), bench(skippedSpec("RST-01"))},
			changes: []func(*Document){signed, with(fine)}, result: Undetermined, code: 2, reasons: []string{"1 MUST specs were skipped on request: RST-01"}},
		{name: "qualification: the baseline is held", specs: []SpecResult{passing("RST-03"), bench(passing("EPH-01"))}, changes: []func(*Document){signed, with(fine)}, result: Conformant},
		{name: "qualification: a regression", specs: []SpecResult{passing("RST-03"), bench(passing("EPH-01"))}, changes: []func(*Document){signed, with(slow)},
			result: NotConformant, code: 1, reasons: []string{regression}},
		{name: "qualification: a stale entry", specs: []SpecResult{passing("RST-03"), bench(passing("EPH-01"))}, changes: []func(*Document){signed, with()},
			result: Undetermined, code: 2, reasons: []string{"get-heavy (ephemeral) requests/s is in the baseline and was not measured: the run has no such benchmark; the baseline is 0.95 with a tolerance of 10 %"}},
		{name: "benchmark: all measured", specs: []SpecResult{skippedSpec("RST-03"), bench(passing("EPH-01"))}, changes: []func(*Document){measuring}, result: AllMeasured},
		{name: "benchmark: what the filter leaves out is not missed", specs: []SpecResult{bench(passing("EPH-01")), bench(skippedSpec("RST-01"))},
			changes: []func(*Document){measuring}, result: AllMeasured},
		{name: "benchmark: a requirement is not met", specs: []SpecResult{bench(violating("RST-01", "RST-01")), bench(passing("EPH-01"))},
			changes: []func(*Document){measuring}, result: NotConformant, code: 1, reasons: []string{"RST-01 failed: RST-01 is not met"}},
		{name: "benchmark: a SHOULD is not met", specs: []SpecResult{bench(violating("RST-02", "RST-03"))},
			changes: []func(*Document){measuring}, result: NotConformant, code: 1, reasons: []string{"RST-02 failed: RST-03 is not met"}},
		{name: "benchmark: a failure is known", specs: []SpecResult{bench(violating("RST-01", "RST-01"))},
			changes: []func(*Document){measuring, func(d *Document) { d.Known = []KnownFailure{accepted("RST-01", "RST-01")} }},
			result:  AllMeasured, reasons: []string{"RST-01 fails as known, see https://example.org/issues/17: RST-01 is not met"}},
		{name: "benchmark: undetermined, though a SHOULD", specs: []SpecResult{bench(undetermined("RST-02")), bench(passing("RST-01"))},
			changes: []func(*Document){measuring}, result: Undetermined, code: 2, reasons: []string{"RST-02 is undetermined: could not reach the pod"}},
		{name: "benchmark: leaked", specs: []SpecResult{bench(leaking("RST-01"))}, changes: []func(*Document){measuring},
			result: LeakedOnly, code: 4, reasons: []string{"RST-01 left behind 1: first " + volume.String()}},
		{name: "benchmark: interrupted", specs: []SpecResult{bench(passing("RST-01"))}, changes: []func(*Document){measuring, func(d *Document) { d.Run.Interrupted = true }},
			result: Undetermined, code: 130, reasons: []string{"the run was interrupted"}},
		{name: "benchmark: nothing selected", specs: []SpecResult{skippedSpec("RST-01")}, changes: []func(*Document){measuring}, result: Undetermined, code: 2, reasons: []string{"no spec was run"}},
		{name: "benchmark: a regression", specs: []SpecResult{bench(passing("EPH-01"))}, changes: []func(*Document){measuring, with(slow)},
			result: NotConformant, code: 1, reasons: []string{regression}},
		{name: "benchmark: an entry that the filter leaves out", specs: []SpecResult{bench(passing("EPH-01"))},
			changes: []func(*Document){measuring, with(), func(d *Document) { d.Run.Selection = `FOCUS="x"` }}, result: AllMeasured},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Document{Schema: Schema, Run: Run{Started: start, Ended: at(1)}, Requirements: requirementResults(catalogue().Requirements, tt.specs), Specs: slices.Clone(tt.specs)}
			for _, change := range tt.changes {
				change(&d)
			}
			d.accept()
			d.compareBaseline()
			d.Verdict = d.judge(verdictRules)
			if v := d.Verdict; v.Result != tt.result || v.ExitCode != tt.code || !slices.Equal(v.Reasons, append([]string{}, tt.reasons...)) {
				t.Errorf("%s with exit code %d because %q, want %s with %d because %q", v.Result, v.ExitCode, v.Reasons, tt.result, tt.code, tt.reasons)
			}
			for _, p := range d.Verdict.Profiles {
				if d.Run.Purpose == Measuring && (p.Result == Conformant || p.Result == ConformantKnown) {
					t.Errorf("a benchmark run calls %s %s", p.Profile, p.Result)
				}
			}
			if err := d.Validate(); err != nil && !strings.HasPrefix(err.Error(), "qualification: ") {
				t.Errorf("Validate() = %v", err)
			}
		})
	}
}

func TestMeasuredIsNoWorse(t *testing.T) {
	if AllMeasured.Weight() != Conformant.Weight() {
		t.Errorf("%s has another weight than %s", AllMeasured, Conformant)
	}
}
