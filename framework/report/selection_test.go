package report

import (
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/spec"
)

func TestSelectionsPass(t *testing.T) {
	skipped := func(ids ...string) []SpecResult {
		var specs []SpecResult
		for _, id := range ids {
			specs = append(specs, outcome(id, spec.Skipped))
		}
		return specs
	}
	known := func(d *Document) { d.Known = []KnownFailure{accepted("RST-01", "RST-01")} }
	for _, tt := range []struct {
		name   string
		specs  []SpecResult
		change func(*Document)
		old    bool
		want   Result
		exit   int
	}{
		{name: "all of it passed", specs: append(skipped("RST-01"), passing("RST-03")), want: SelectionPassed},
		{name: "a whole mode was selected", specs: append(skipped("RST-01"), passing("EPH-01")), want: SelectionPassed},
		{name: "every spec was selected", specs: []SpecResult{passing("RST-01")}, want: SelectionPassed},
		{name: "by the old rules", specs: append(skipped("RST-01"), passing("RST-03")), old: true, want: Undetermined, exit: 2},
		{name: "a MUST failed", specs: append(skipped("RST-03"), violating("RST-01", "RST-01")), want: NotConformant, exit: 1},
		{name: "a failure is known", specs: append(skipped("RST-03"), violating("RST-01", "RST-01")), change: known, want: SelectionKnown},
		{name: "a SHOULD failed", specs: []SpecResult{passing("RST-01"), violating("RST-02", "RST-03")}, want: Undetermined, exit: 2},
		{name: "a SHOULD is undetermined", specs: []SpecResult{passing("RST-01"), undetermined("RST-02")}, want: Undetermined, exit: 2},
		{name: "a SHOULD could not be looked at", specs: []SpecResult{passing("RST-01"), unseen("RST-02")}, want: Undetermined, exit: 2},
		{name: "a MUST could not be looked at", specs: []SpecResult{passing("RST-03"), unseen("RST-01")}, want: Undetermined, exit: 2},
		{name: "a MUST was not run", specs: []SpecResult{passing("RST-03"), outcome("RST-01", spec.NotRun)}, want: Undetermined, exit: 2},
		{name: "nothing was selected", specs: skipped("RST-01", "RST-03"), want: Undetermined, exit: 2},
		{name: "it leaked", specs: append(skipped("RST-03"), leaking("RST-01")), want: LeakedOnly, exit: 4},
		{name: "interrupted", specs: []SpecResult{passing("RST-01")}, change: func(d *Document) { d.Run.Interrupted = true }, want: Undetermined, exit: 130},
		{name: "leaks could not be compared", specs: []SpecResult{passing("RST-01")}, change: func(d *Document) { d.Uncompared = []string{"exec is refused"} }, want: Undetermined, exit: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Document{Run: Run{Selection: `FOCUS="x"`}, Specs: tt.specs}
			if tt.change != nil {
				tt.change(&d)
			}
			d.Requirements = requirementResults(catalogue().Requirements, d.Specs)
			d.accept()
			rules := verdictRules
			if tt.old {
				rules = 0
			}
			v := d.judge(rules)
			if v.Result != tt.want || v.ExitCode != tt.exit {
				t.Errorf("%s, exit code %d, want %s, %d: %q", v.Result, v.ExitCode, tt.want, tt.exit, v.Reasons)
			}
		})
	}
}

func TestOldSelectionsStayValid(t *testing.T) {
	r := recorded()
	r.Run(func(run *Run) { run.Selection = `FOCUS="RST"` })
	d := r.Finish(at(60), nil)
	if err := d.Validate(); err != nil {
		t.Fatalf("now: %v", err)
	}
	d.Verdict = d.judge(0)
	if err := d.Validate(); err != nil {
		t.Errorf("before there was SELECTION PASSED: %v", err)
	}
	d.Verdict.Rules = verdictRules + 1
	if err := d.Validate(); err == nil || !strings.Contains(err.Error(), "verdict: rules is 3, want none or 2") {
		t.Errorf("later rules: %v", err)
	}
}
