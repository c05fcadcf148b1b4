package report

import (
	"slices"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/spec"
)

// selecting makes a run one with a filter, and noVerdict is what its verdict says about that.
func selecting(d *Document) { d.Run.Selection = `FOCUS="RST"` }

const noVerdict = `only the specs of FOCUS="RST" were selected: this is no verdict about conformance`

func TestVerdict(t *testing.T) {
	const dontCare = "any"
	showing := func(id string, req spec.ReqID) SpecResult {
		s := passing(id)
		s.Covers, s.Examined = []spec.ReqID{req}, []spec.ReqID{req}
		return s
	}
	flaky := passing("RST-01")
	flaky.Attempts = 3
	failedAndLeaking := violating("RST-02", "RST-03")
	failedAndLeaking.Leaks = []Leak{volume}
	unknown := violating("RST-01", "XXX-01")
	panicked := violating("RST-01", "RST-01")
	panicked.Outcome, panicked.Reason = spec.Undetermined, "panic"
	tests := []struct {
		name    string
		specs   []SpecResult
		change  func(*Document)
		result  Result
		code    int
		profile Result // of persistent
		reasons []string
	}{
		{name: "all passed", specs: []SpecResult{passing("EPH-01"), passing("RST-01")},
			result: Conformant, profile: Conformant},
		{name: "a MUST failed", specs: []SpecResult{passing("EPH-01"), violating("RST-01", "RST-02")},
			result: NotConformant, code: 1, profile: NotConformant, reasons: []string{"RST-01 failed: RST-02 is not met"}},
		{name: "a requirement that the catalogue does not have counts as MUST", specs: []SpecResult{unknown},
			result: NotConformant, code: 1, profile: NotConformant, reasons: []string{"RST-01 failed: XXX-01 is not met"}},
		{name: "a SHOULD alone", specs: []SpecResult{passing("RST-01"), violating("RST-02", "RST-03")},
			result: Conformant, profile: Conformant, reasons: []string{"RST-02: a SHOULD is not met: RST-03 is not met"}},
		{name: "a SHOULD of a MUST spec whose MUST was examined", specs: []SpecResult{violating("RST-03", "RST-03")},
			result: Conformant, profile: Conformant, reasons: []string{"RST-03: a SHOULD is not met: RST-03 is not met"}},
		{name: "a SHOULD of a MUST spec that ended there", specs: []SpecResult{violatedThenStopped("RST-03", "RST-03")},
			result: Undetermined, code: 2, profile: Undetermined,
			reasons: []string{"RST-03 could not examine RST-01 because of it, and no other spec has", "RST-03: a SHOULD is not met: RST-03 is not met"}},
		{name: "a MUST is undetermined", specs: []SpecResult{passing("RST-03"), undetermined("RST-01")},
			result: Undetermined, code: 2, profile: Undetermined, reasons: []string{"RST-01 is undetermined: could not reach the pod"}},
		{name: "a SHOULD is undetermined", specs: []SpecResult{passing("RST-01"), undetermined("RST-02")},
			result: Conformant, profile: Conformant, reasons: []string{"RST-02 is undetermined: could not reach the pod"}},
		{name: "a SHOULD is undetermined and nothing else ran", specs: []SpecResult{undetermined("RST-02")},
			result: Undetermined, code: 2, profile: Undetermined,
			reasons: []string{"no spec of the profile persistent came to a result", "RST-02 is undetermined: could not reach the pod"}},
		{name: "a panic after a violation", specs: []SpecResult{passing("RST-03"), panicked},
			result: Undetermined, code: 2, profile: Undetermined, reasons: []string{"RST-01 is undetermined: panic"}},
		{name: "a MUST was not run", specs: []SpecResult{passing("RST-03"), outcome("RST-01", spec.NotRun)},
			result: Undetermined, code: 2, profile: Undetermined, reasons: []string{"RST-01 is not run: why RST-01"}},
		{name: "a MUST was skipped", specs: []SpecResult{passing("RST-03"), outcome("RST-01", spec.Skipped)},
			result: Undetermined, code: 2, profile: Undetermined, reasons: []string{"1 MUST specs were skipped on request: RST-01"}},
		{name: "a SHOULD was skipped", specs: []SpecResult{passing("RST-01"), outcome("RST-02", spec.Skipped)},
			result: Conformant, profile: Conformant},
		{name: "a MUST is not applicable", specs: []SpecResult{passing("RST-03"), outcome("RST-01", spec.NotApplicable)},
			result: Conformant, profile: Conformant, reasons: []string{"RST-01 is not applicable: why RST-01"}},
		{name: "MUSTs could not be looked at", specs: []SpecResult{passing("EPH-01"), passing("RST-02"), unseen("RST-01"), unseen("RST-03")},
			result: Undetermined, code: 2, profile: Undetermined, reasons: []string{"RST-01, RST-03 are undetermined: exec is refused"}},
		{name: "a SHOULD could not be looked at", specs: []SpecResult{passing("RST-01"), unseen("RST-02")},
			result: Conformant, profile: Conformant, reasons: []string{"RST-02 is undetermined: exec is refused"}},
		{name: "nothing could be looked at", specs: []SpecResult{unseen("RST-01")},
			result: Undetermined, code: 2, profile: Undetermined,
			reasons: []string{"RST-01 is undetermined: exec is refused", "no spec of the profile persistent came to a result"}},
		{name: "a profile was not selected", specs: []SpecResult{passing("EPH-01"), outcome("RST-01", spec.Skipped), outcome("RST-02", spec.Skipped)},
			result: Conformant, profile: NotExamined},
		{name: "a profile does not apply", specs: []SpecResult{passing("EPH-01"), outcome("RST-01", spec.NotApplicable)},
			result: Conformant, profile: NotExamined},
		{name: "a profile does not apply and its MUST was skipped", specs: []SpecResult{passing("EPH-01"), outcome("RST-01", spec.NotApplicable), outcome("RST-03", spec.Skipped)},
			result: Undetermined, code: 2, profile: Undetermined,
			reasons: []string{"no spec of the profile persistent came to a result", "1 MUST specs were skipped on request: RST-03", "RST-01 is not applicable: why RST-01"}},
		{name: "empty run", result: Undetermined, code: 2, reasons: []string{"no spec was run"}},
		{name: "all skipped", specs: []SpecResult{outcome("RST-01", spec.Skipped)}, result: Undetermined, code: 2, profile: NotExamined, reasons: []string{"no spec was run"}},
		{name: "nothing applies", specs: []SpecResult{outcome("RST-01", spec.NotApplicable)}, result: Undetermined, code: 2, profile: NotExamined, reasons: []string{"no spec was run"}},
		{name: "a spec leaked", specs: []SpecResult{passing("EPH-01"), leaking("RST-01")},
			result: LeakedOnly, code: 4, profile: LeakedOnly, reasons: []string{"RST-01 left behind 1: first " + volume.String()}},
		{name: "a SHOULD that failed leaked", specs: []SpecResult{passing("RST-01"), failedAndLeaking},
			result: LeakedOnly, code: 4, profile: LeakedOnly,
			reasons: []string{"RST-02 left behind 1: first " + volume.String(), "RST-02: a SHOULD is not met: RST-03 is not met"}},
		{name: "the run leaked", specs: []SpecResult{passing("RST-01")}, change: func(d *Document) { d.Leaks = []Leak{volume} },
			result: LeakedOnly, code: 4, profile: Conformant, reasons: []string{"left behind: " + volume.String()}},
		{name: "leaks could not be compared", specs: []SpecResult{passing("RST-01")}, change: func(d *Document) { d.Uncompared = []string{"node view of all nodes: exec is refused", "another"} },
			result: Undetermined, code: 2, profile: Conformant,
			reasons: []string{"whether something was left behind is not known: 2 parts could not be compared, first node view of all nodes: exec is refused"}},
		{name: "leaks could not be compared in a benchmark run", specs: []SpecResult{passing("RST-01")}, change: func(d *Document) { d.Run.Purpose, d.Uncompared = Measuring, []string{"exec is refused"} },
			result: AllMeasured, profile: AllMeasured},
		{name: "known", specs: []SpecResult{violating("RST-01", "RST-02")}, change: func(d *Document) { d.Known = []KnownFailure{accepted("RST-01", "RST-02")} },
			result: ConformantKnown, profile: ConformantKnown, reasons: []string{"RST-01 fails as known, see https://example.org/issues/17: RST-02 is not met"}},
		{name: "known, and something else of the spec was not reached", specs: []SpecResult{violatedThenStopped("RST-01", "RST-01")},
			change: func(d *Document) { d.Known = []KnownFailure{accepted("RST-01", "RST-01")} },
			result: Undetermined, code: 2, profile: Undetermined,
			reasons: []string{"RST-01 could not examine RST-02 because of it, and no other spec has", "RST-01 fails as known, see https://example.org/issues/17: RST-01 is not met"}},
		{name: "known, and another spec has shown what was not reached", specs: []SpecResult{violatedThenStopped("RST-01", "RST-01"), showing("RST-03", "RST-02")},
			change: func(d *Document) { d.Known = []KnownFailure{accepted("RST-01", "RST-01")} },
			result: ConformantKnown, profile: ConformantKnown, reasons: []string{"RST-01 fails as known, see https://example.org/issues/17: RST-01 is not met"}},
		{name: "known, and a spec of another mode has shown what was not reached", specs: []SpecResult{violatedThenStopped("RST-01", "RST-01"), showing("EPH-01", "RST-02")},
			change: func(d *Document) { d.Known = []KnownFailure{accepted("RST-01", "RST-01")} },
			result: Undetermined, code: 2, profile: Undetermined,
			reasons: []string{"RST-01 could not examine RST-02 because of it, and no other spec has", "RST-01 fails as known, see https://example.org/issues/17: RST-01 is not met"}},
		{name: "known for another spec", specs: []SpecResult{violating("RST-01", "RST-01"), violating("RST-03", "RST-01")},
			change: func(d *Document) { d.Known = []KnownFailure{accepted("RST-03", "RST-01")} },
			result: NotConformant, code: 1, profile: NotConformant,
			reasons: []string{"RST-01 failed: RST-01 is not met", "RST-03 fails as known, see https://example.org/issues/17: RST-01 is not met"}},
		{name: "only one of two is known", specs: []SpecResult{violating("RST-01", "RST-01", "RST-02")}, change: func(d *Document) { d.Known = []KnownFailure{accepted("RST-01", "RST-01")} },
			result: NotConformant, code: 1, profile: NotConformant, reasons: []string{"RST-01 failed: RST-01 is not met"}},
		{name: "both are known", specs: []SpecResult{violating("RST-01", "RST-01", "RST-02")},
			change: func(d *Document) {
				d.Known = []KnownFailure{accepted("RST-01", "RST-01"), accepted("RST-01", "RST-02")}
			},
			result: ConformantKnown, profile: ConformantKnown, reasons: []string{dontCare}},
		{name: "stale", specs: []SpecResult{passing("RST-01")}, change: func(d *Document) { d.Known = []KnownFailure{accepted("RST-01", "RST-02")} },
			result: Undetermined, code: 2, profile: Conformant, reasons: []string{"the known failure of RST-02 in RST-01 was not seen: remove its entry"}},
		{name: "stale next to a failure", specs: []SpecResult{violating("RST-01", "RST-01")}, change: func(d *Document) { d.Known = []KnownFailure{accepted("RST-01", "RST-02")} },
			result: NotConformant, code: 1, profile: NotConformant,
			reasons: []string{"RST-01 failed: RST-01 is not met", "the known failure of RST-02 in RST-01 was not seen: remove its entry"}},
		{name: "not stale: the spec did not come to its end", specs: []SpecResult{passing("EPH-01"), passing("RST-03"), outcome("RST-01", spec.NotApplicable)},
			change: func(d *Document) { d.Known = []KnownFailure{accepted("RST-01", "RST-02")} }, result: Conformant, profile: Conformant,
			reasons: []string{"RST-01 is not applicable: why RST-01"}},
		{name: "flaky", specs: []SpecResult{flaky}, result: Conformant, profile: Conformant, reasons: []string{"RST-01 is flaky: passed at attempt 3"}},
		{name: "error", specs: []SpecResult{passing("RST-01")}, change: func(d *Document) { d.Errors = []string{"the suite died"} },
			result: Undetermined, code: 2, profile: Conformant, reasons: []string{"the suite died"}},
		{name: "interrupted", specs: []SpecResult{passing("RST-01")}, change: func(d *Document) { d.Run.Interrupted = true },
			result: Undetermined, code: 130, profile: Conformant, reasons: []string{"the run was interrupted"}},
		{name: "interrupted after a failure", specs: []SpecResult{violating("RST-01", "RST-01"), outcome("RST-03", spec.NotRun)}, change: func(d *Document) { d.Run.Interrupted = true },
			result: NotConformant, code: 130, profile: NotConformant,
			reasons: []string{"RST-01 failed: RST-01 is not met", "RST-03 is not run: why RST-03", "the run was interrupted"}},
		{name: "precedence: a failure above errors and leaks", specs: []SpecResult{leaking("EPH-01"), violating("RST-01", "RST-01")},
			change: func(d *Document) { d.Errors, d.Leaks = []string{"error"}, []Leak{volume} },
			result: NotConformant, code: 1, profile: NotConformant,
			reasons: []string{"RST-01 failed: RST-01 is not met", "error", "EPH-01 left behind 1: first " + volume.String(), "left behind: " + volume.String()}},
		{name: "precedence: undetermined above a leak", specs: []SpecResult{leaking("EPH-01"), passing("RST-03"), undetermined("RST-01")},
			result: Undetermined, code: 2, profile: Undetermined,
			reasons: []string{"RST-01 is undetermined: could not reach the pod", "EPH-01 left behind 1: first " + volume.String()}},
		{name: "precedence: a leak above a known failure", specs: []SpecResult{leaking("EPH-01"), violating("RST-01", "RST-02")},
			change: func(d *Document) { d.Known = []KnownFailure{accepted("RST-01", "RST-02")} },
			result: LeakedOnly, code: 4, profile: ConformantKnown, reasons: []string{dontCare, dontCare}},
		{name: "selection: passed, others were not selected", specs: []SpecResult{passing("RST-03"), outcome("RST-01", spec.Skipped)}, change: selecting,
			result: SelectionPassed, profile: SelectionPassed, reasons: []string{"1 MUST specs were not selected: RST-01", noVerdict}},
		{name: "selection: all of a mode", specs: []SpecResult{passing("RST-01"), passing("RST-03"), outcome("EPH-01", spec.Skipped)}, change: selecting,
			result: SelectionPassed, profile: SelectionPassed, reasons: []string{noVerdict}},
		{name: "selection: all there are", specs: []SpecResult{passing("RST-01")}, change: selecting,
			result: SelectionPassed, profile: SelectionPassed, reasons: []string{noVerdict}},
		{name: "selection: failed", specs: []SpecResult{violating("RST-01", "RST-01"), outcome("RST-03", spec.Skipped)}, change: selecting,
			result: NotConformant, code: 1, profile: NotConformant, reasons: []string{"RST-01 failed: RST-01 is not met", "1 MUST specs were not selected: RST-03", noVerdict}},
		{name: "selection: failed as known", specs: []SpecResult{violating("RST-01", "RST-01"), outcome("RST-03", spec.Skipped)},
			change: func(d *Document) { selecting(d); d.Known = []KnownFailure{accepted("RST-01", "RST-01")} },
			result: SelectionKnown, profile: SelectionKnown, reasons: []string{"1 MUST specs were not selected: RST-03", noVerdict, dontCare}},
		{name: "selection: undetermined", specs: []SpecResult{undetermined("RST-01"), passing("RST-03")}, change: selecting,
			result: Undetermined, code: 2, profile: Undetermined, reasons: []string{"RST-01 is undetermined: could not reach the pod", noVerdict}},
		{name: "selection: leaked", specs: []SpecResult{leaking("EPH-01")}, change: selecting,
			result: LeakedOnly, code: 4, reasons: []string{"EPH-01 left behind 1: first " + volume.String(), noVerdict}},
		{name: "selection: what could not be compared", specs: []SpecResult{passing("EPH-01")}, change: func(d *Document) { selecting(d); d.Uncompared = []string{"nodes"} },
			result: Undetermined, code: 2, reasons: []string{dontCare, noVerdict}},
		{name: "selection: one mode does not apply", specs: []SpecResult{passing("EPH-01"), outcome("RST-01", spec.NotApplicable), outcome("RST-03", spec.Skipped)}, change: selecting,
			result: SelectionPassed, profile: NotExamined, reasons: []string{noVerdict}},
		{name: "selection: nothing applies", specs: []SpecResult{outcome("RST-01", spec.NotApplicable), outcome("RST-03", spec.Skipped)}, change: selecting,
			result: Undetermined, code: 2, profile: NotExamined, reasons: []string{"no spec was run", noVerdict}},
		{name: "selection: interrupted", specs: []SpecResult{passing("RST-01")}, change: func(d *Document) { selecting(d); d.Run.Interrupted = true },
			result: Undetermined, code: 130, profile: SelectionPassed, reasons: []string{"the run was interrupted", noVerdict}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Document{Requirements: requirementResults(catalogue().Requirements, tt.specs), Specs: slices.Clone(tt.specs)}
			if tt.change != nil {
				tt.change(&d)
			}
			d.accept()
			v := d.judge(verdictRules)
			if v.Result != tt.result || v.ExitCode != tt.code {
				t.Errorf("%s with exit code %d, want %s with %d", v.Result, v.ExitCode, tt.result, tt.code)
			}
			i := slices.IndexFunc(v.Profiles, func(p ProfileVerdict) bool { return p.Profile == spec.Persistent })
			if got := Result(""); i >= 0 && v.Profiles[i].Result != tt.profile || i < 0 && tt.profile != got {
				t.Errorf("profiles %+v, want persistent to be %q", v.Profiles, tt.profile)
			}
			if !slices.EqualFunc(v.Reasons, tt.reasons, func(got, want string) bool { return want == dontCare || got == want }) {
				t.Errorf("reasons %q, want %q", v.Reasons, tt.reasons)
			}
			total := 0
			for _, p := range v.Profiles {
				for _, n := range p.Counts {
					total += n
				}
			}
			if total != len(tt.specs) {
				t.Errorf("%d specs are counted, want %d", total, len(tt.specs))
			}
		})
	}
}

// TestEveryOutcomeAlone makes sure that only two of the outcomes of a single
// MUST spec, next to one that passed, leave a verdict as good as conformant.
func TestEveryOutcomeAlone(t *testing.T) {
	want := map[spec.Outcome]Result{
		spec.Passed: Conformant, spec.NotApplicable: Conformant, spec.Failed: NotConformant, spec.Undetermined: Undetermined,
		spec.Leaked: LeakedOnly, spec.Skipped: Undetermined, spec.NotRun: Undetermined,
	}
	for _, o := range spec.Outcomes() {
		s := passing("RST-01")
		s.Outcome = o
		if o == spec.Failed {
			s = violating("RST-01", "RST-01")
		}
		specs := []SpecResult{s, passing("RST-03")}
		v := Document{Specs: specs, Requirements: requirementResults(catalogue().Requirements, specs)}.judge(verdictRules)
		if v.Result != want[o] || v.ExitCode != want[o].ExitCode() {
			t.Errorf("%s: %s with exit code %d, want %s", o, v.Result, v.ExitCode, want[o])
		}
	}
}

func TestProfilesAreInOrder(t *testing.T) {
	odd := passing("RST-02")
	odd.Profile = "odd"
	got := Document{Specs: []SpecResult{odd, passing("DRV-01"), passing("RST-01"), passing("EPH-01")}}.profiles()
	if want := []spec.Profile{spec.Ephemeral, spec.Persistent, spec.Driver, "odd"}; !slices.Equal(got, want) {
		t.Errorf("profiles() = %q, want %q", got, want)
	}
}

func TestExitCodes(t *testing.T) {
	for r, want := range map[Result]int{Conformant: 0, ConformantKnown: 0, NotConformant: 1, Undetermined: 2, LeakedOnly: 4, NotExamined: 2, "": 2} {
		if got := r.ExitCode(); got != want {
			t.Errorf("%q: exit code %d, want %d", r, got, want)
		}
	}
}

// outcome is a spec that was not begun, or not finished.
func outcome(id string, o spec.Outcome) SpecResult {
	s := passing(id)
	s.Outcome, s.Reason, s.Complete, s.Attempts, s.Examined = o, "why "+id, false, 0, nil
	return s
}

// unseen is a spec for which the cluster could not be looked at.
func unseen(id string) SpecResult {
	s := outcome(id, spec.Undetermined)
	s.Reason, s.Started = "exec is refused", time.Time{}
	return s
}
