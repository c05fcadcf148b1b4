package report

import (
	"testing"

	"pmem-memcached-e2e/framework/spec"
)

func TestFate(t *testing.T) {
	lost := violating("RST-01", "RST-01")
	lost.Outcome = spec.Undetermined
	incomplete := undetermined("RST-01")
	incomplete.Examined = []spec.ReqID{"RST-01"}
	complete := incomplete
	newer := passing("RST-01")
	newer.Inapplicable, newer.Examined = []spec.ReqID{"RST-02"}, []spec.ReqID{"RST-01"}
	complete.Complete = true
	tests := []struct {
		name string
		s    SpecResult
		want [2]spec.Outcome // of RST-01 and RST-02
	}{
		{"passed", passing("RST-01"), [2]spec.Outcome{spec.Passed, spec.Passed}},
		{"leaked", leaking("RST-01"), [2]spec.Outcome{spec.Passed, spec.Passed}},
		{"one failed, the other was examined", violating("RST-01", "RST-01"), [2]spec.Outcome{spec.Failed, spec.Passed}},
		{"one failed, the other was not reached", violatedThenStopped("RST-01", "RST-01"), [2]spec.Outcome{spec.Failed, spec.Undetermined}},
		{"the second failed", violating("RST-01", "RST-02"), [2]spec.Outcome{spec.Passed, spec.Failed}},
		{"undetermined", undetermined("RST-01"), [2]spec.Outcome{spec.Undetermined, spec.Undetermined}},
		{"undetermined, examined, but not to the end", incomplete, [2]spec.Outcome{spec.Undetermined, spec.Undetermined}},
		{"undetermined at the end, one examined", complete, [2]spec.Outcome{spec.Passed, spec.Undetermined}},
		{"violated while the cluster was lost", lost, [2]spec.Outcome{spec.Undetermined, spec.Passed}},
		{"skipped", SpecResult{Outcome: spec.Skipped}, [2]spec.Outcome{spec.Skipped, spec.Skipped}},
		{"not applicable", SpecResult{Outcome: spec.NotApplicable}, [2]spec.Outcome{spec.NotApplicable, spec.NotApplicable}},
		{"one does not hold for the release", newer, [2]spec.Outcome{spec.Passed, spec.NotApplicable}},
		{"not run", SpecResult{Outcome: spec.NotRun}, [2]spec.Outcome{spec.NotRun, spec.NotRun}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := [2]spec.Outcome{tt.s.fate("RST-01"), tt.s.fate("RST-02")}; got != tt.want {
				t.Errorf("RST-01 and RST-02 are %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRequirementOfSeveralSpecs(t *testing.T) {
	with := func(o spec.Outcome) SpecResult {
		s := passing("RST-03")
		s.Outcome = o
		return s
	}
	tests := []struct {
		first, second SpecResult
		want          spec.Outcome
	}{
		{passing("RST-01"), with(spec.Skipped), spec.Passed},
		{passing("RST-01"), with(spec.NotApplicable), spec.Passed},
		{passing("RST-01"), with(spec.NotRun), spec.NotRun},
		{passing("RST-01"), undetermined("RST-03"), spec.Undetermined},
		{passing("RST-01"), violating("RST-03", "RST-01"), spec.Failed},
		{violating("RST-01", "RST-01"), undetermined("RST-03"), spec.Failed},
		{undetermined("RST-01"), with(spec.NotRun), spec.Undetermined},
		{violating("RST-01", "RST-02"), with(spec.Skipped), spec.Passed},
		{violating("RST-01", "RST-01"), passing("RST-03"), spec.Failed},
	}
	for _, tt := range tests {
		for _, specs := range [][]SpecResult{{tt.first, tt.second}, {tt.second, tt.first}} {
			got := requirementResults(catalogue().Requirements, specs)[1]
			if got.ID != "RST-01" || got.Outcome != tt.want || len(got.Specs) != 2 {
				t.Errorf("%s and %s: %+v, want %s", specs[0].Outcome, specs[1].Outcome, got, tt.want)
			}
		}
	}
	skipped := requirementResults(catalogue().Requirements, []SpecResult{with(spec.Skipped), with(spec.NotApplicable)})[1]
	if skipped.Outcome != spec.Skipped {
		t.Errorf("skipped and not applicable: %q, want skipped", skipped.Outcome)
	}
	uncovered := requirementResults(catalogue().Requirements, []SpecResult{passing("RST-01")})[5]
	if uncovered.ID != "OPS-01" || uncovered.Outcome != "" || uncovered.Specs != nil {
		t.Errorf("uncovered requirement: %+v", uncovered)
	}
}

// TestRequirementOfSeveralModes makes sure that what was shown in one mode does
// not count in another one.
func TestRequirementOfSeveralModes(t *testing.T) {
	both := []spec.Requirement{{ID: "MC-01", Level: spec.Must, Profiles: []spec.Profile{spec.Ephemeral, spec.Persistent}}}
	in := func(profile spec.Profile, outcome spec.Outcome) SpecResult {
		s := SpecResult{ID: "MC-01" + string(profile[:1]), Profile: profile, Covers: []spec.ReqID{"MC-01"}, Outcome: outcome, Complete: true}
		if outcome == spec.Failed {
			s.Failures = []Failure{{Requirement: "MC-01"}}
		}
		return s
	}
	tests := []struct {
		specs []SpecResult
		want  spec.Outcome
		pairs Pairs
	}{
		{[]SpecResult{in(spec.Ephemeral, spec.Passed), in(spec.Persistent, spec.Passed)}, spec.Passed, Pairs{spec.PairCount{Stated: 2, Examined: 2}, 2}},
		{[]SpecResult{in(spec.Ephemeral, spec.Passed), in(spec.Persistent, spec.Failed)}, spec.Failed, Pairs{spec.PairCount{Stated: 2, Examined: 2}, 1}},
		{[]SpecResult{in(spec.Ephemeral, spec.Passed), in(spec.Persistent, spec.Undetermined)}, spec.Undetermined, Pairs{spec.PairCount{Stated: 2, Examined: 1}, 1}},
		{[]SpecResult{in(spec.Ephemeral, spec.Passed), in(spec.Persistent, spec.Skipped)}, spec.Skipped, Pairs{spec.PairCount{Stated: 2, Examined: 1}, 1}},
		{[]SpecResult{in(spec.Ephemeral, spec.Passed), in(spec.Persistent, spec.NotApplicable)}, spec.Passed, Pairs{spec.PairCount{Stated: 2, Examined: 1}, 1}},
		{[]SpecResult{in(spec.Ephemeral, spec.Passed)}, spec.Passed, Pairs{spec.PairCount{Stated: 2, Examined: 1}, 1}},
	}
	for _, tt := range tests {
		d := Document{Requirements: requirementResults(both, tt.specs)}
		got := d.Requirements[0]
		if got.Outcome != tt.want || len(got.Modes) != 2 || got.In(spec.Ephemeral).Outcome != spec.Passed {
			t.Errorf("%+v, want %s", got, tt.want)
		}
		if pairs := d.pairs(spec.Profiles()...); pairs != tt.pairs {
			t.Errorf("pairs %v, want %v", pairs, tt.pairs)
		}
		if pairs := d.pairs(spec.Persistent); pairs.Stated != 1 || pairs.Met > 0 != (got.In(spec.Persistent).Outcome == spec.Passed) {
			t.Errorf("pairs of the persistent mode: %v, outcome %q", pairs, got.In(spec.Persistent).Outcome)
		}
	}
}

func TestScope(t *testing.T) {
	r := NewRecorder(Run{Started: start}, catalogue())
	r.Plan(planned(map[string]spec.Outcome{"RST-01": spec.Skipped, "RST-02": spec.Skipped, "RST-03": spec.Skipped, "DRV-01": spec.Skipped}))
	r.Record(Event{Time: start, Kind: SpecStarted, Spec: "EPH-01"})
	passed := passing("EPH-01")
	r.Record(Event{Time: start, Kind: SpecEnded, Spec: "EPH-01", Result: &passed})
	v := r.Finish(at(1), nil).Verdict
	if want := "about ephemeral only; nothing is said about persistent and driver"; v.Scope != want || v.Result != Conformant {
		t.Errorf("%s: %q, want %q", v.Result, v.Scope, want)
	}
	if all := recorded().Finish(at(60), nil).Verdict.Scope; all != "" {
		t.Errorf("a run of all profiles: %q", all)
	}
}
