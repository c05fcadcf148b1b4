package report

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"pmem-memcached-e2e/framework/spec"
)

// ValidateFile checks the report at path: that neither it nor its evidence was
// altered, and what [Document.Validate] checks. All defects are reported.
func ValidateFile(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the report: %w", err)
	}
	sum, body, err := split(path, data)
	if err != nil {
		return err
	}
	var errs []error
	if got := digest(body); got != sum {
		errs = append(errs, fmt.Errorf("%s:1: digest is sha256:%s, the lines below it have sha256:%s: the report was altered", path, sum, got))
	}
	d, err := Decode(path, data)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, d.checkEvidence(filepath.Dir(path)), d.Validate())...)
}

func (d Document) checkEvidence(dir string) error {
	found, err := HashEvidence(dir)
	if err != nil {
		return err
	}
	there := map[string]File{}
	for _, f := range found {
		there[f.Path] = f
	}
	var errs []error
	for _, want := range d.Evidence {
		got, ok := there[want.Path]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("evidence %s is in the report, but not next to it, or twice in the report", want.Path))
		case got != want:
			errs = append(errs, fmt.Errorf("evidence %s has %d bytes with sha256:%s, want %d with sha256:%s: it was altered",
				want.Path, got.Size, got.SHA256, want.Size, want.SHA256))
		}
		delete(there, want.Path)
	}
	for _, name := range sortedKeys(there) {
		errs = append(errs, fmt.Errorf("evidence %s is not in the report: it was added", name))
	}
	return errors.Join(errs...)
}

// Validate checks that every spec has one outcome that follows from what was
// seen, that requirements, known failures and verdict follow from the specs,
// and the rules of a qualification run. All defects are reported.
func (d Document) Validate() error {
	c := checker{}
	if d.Schema != Schema {
		c.bad("schema is %q, want %q", d.Schema, Schema)
	}
	if d.Run.Ended.Before(d.Run.Started) {
		c.bad("run.ended is %s, want a time after run.started, %s", d.Run.Ended.Format(time.RFC3339), d.Run.Started.Format(time.RFC3339))
	}
	if p := d.Run.Purpose; p != "" && p != Conformance && p != Measuring {
		c.bad("run.purpose is %q, want %s or %s", p, Conformance, Measuring)
	}
	if m := d.Mutation; m != nil && (m.Killed > m.Mutants || m.Accepted > m.Equivalents) {
		c.bad("mutation has %s, want no more than there are", m)
	}
	c.specs(d)
	c.benchmarks(d)
	c.derived(d)
	for _, k := range d.Known {
		if day := d.Run.Started.Format(time.DateOnly); k.Expires < day {
			c.bad("the known failure of %s in %s: expires is %q, before the run of %s", k.Requirement, k.Spec, k.Expires, day)
		}
	}
	if d.Run.Qualification {
		c.qualification(d)
	}
	return errors.Join(c.errs...)
}

// checker collects defects.
type checker struct{ errs []error }

func (c *checker) bad(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

func (c *checker) specs(d Document) {
	levels := map[spec.ReqID]bool{}
	for _, r := range d.Requirements {
		if levels[r.ID] {
			c.bad("requirement %s is there twice, want it once", r.ID)
		}
		levels[r.ID] = true
	}
	seen := map[string]bool{}
	for _, s := range d.Specs {
		if seen[s.ID] {
			c.bad("spec %s is there twice, want one outcome for it", s.ID)
		}
		seen[s.ID] = true
		if why := s.contradiction(); why != "" {
			c.bad("spec %s: outcome is %q, but %s", s.ID, s.Outcome, why)
		}
		if d.outOfScope(s) && s.Outcome != spec.Skipped {
			c.bad("spec %s: outcome is %q, want %q, because it does not belong to a run of this purpose", s.ID, s.Outcome, spec.Skipped)
		}
		if s.Outcome != spec.Passed && s.Reason == "" {
			c.bad("spec %s: outcome is %q, want a reason", s.ID, s.Outcome)
		}
		if s.Level != spec.Must && s.Level != spec.Should {
			c.bad("spec %s: level is %q, want %s or %s", s.ID, s.Level, spec.Must, spec.Should)
		}
		if s.Profile != spec.Ephemeral && s.Profile != spec.Persistent && s.Profile != spec.Driver {
			c.bad("spec %s: profile is %q, want %s, %s or %s", s.ID, s.Profile, spec.Ephemeral, spec.Persistent, spec.Driver)
		}
		for _, req := range s.Covers {
			if !levels[req] {
				c.bad("spec %s: covers has %q, want a requirement of the report", s.ID, req)
			}
		}
	}
}

// derived compares what follows from the rest of d with what d says.
func (c *checker) derived(d Document) {
	want := d
	want.Specs = slices.Clone(d.Specs)
	want.accept()
	requirements := make([]spec.Requirement, len(d.Requirements))
	for i, r := range d.Requirements {
		requirements[i] = r.Requirement
	}
	want.Requirements = requirementResults(requirements, d.Specs)
	for i, r := range want.Requirements {
		got := d.Requirements[i]
		if got.Outcome != r.Outcome {
			c.bad("requirement %s: outcome is %q, from the specs follows %q", r.ID, got.Outcome, r.Outcome)
		}
		if !slices.Equal(got.Specs, r.Specs) {
			c.bad("requirement %s: specs is [%s], from the specs follows [%s]", r.ID, words(got.Specs), words(r.Specs))
		}
		for _, m := range r.Modes {
			if g := got.In(m.Profile); g.Outcome != m.Outcome {
				c.bad("requirement %s in mode %s: outcome is %q, from the specs follows %q", r.ID, m.Profile, g.Outcome, m.Outcome)
			} else if !slices.Equal(g.Specs, m.Specs) {
				c.bad("requirement %s in mode %s: specs is [%s], from the specs follows [%s]", r.ID, m.Profile, words(g.Specs), words(m.Specs))
			}
		}
	}
	for i, s := range want.Specs {
		if got := d.Specs[i].Known; got != s.Known {
			c.bad("spec %s: known is %q, from the known failures follows %q", s.ID, got, s.Known)
		}
	}
	for i, k := range want.Known {
		if !reflect.DeepEqual(d.Known[i].Met, k.Met) {
			c.bad("the known failure of %s in %s: met is %s, from the specs follows %s", k.Requirement, k.Spec, met(d.Known[i]), met(k))
		}
	}
	want.compareBaseline()
	for i, e := range want.Baseline {
		if got := d.Baseline[i]; !reflect.DeepEqual(got, e) {
			c.bad("the baseline of %s: state is %q (%s), from the benchmarks follows %q (%s)", e.Name(), got.State, got.Against(), e.State, e.Against())
		}
	}
	c.verdict(d.Verdict, want.judge(d.Verdict.Rules))
	if d.Verdict.Rules != 0 && d.Verdict.Rules != verdictRules {
		c.bad("verdict: rules is %d, want none or %d", d.Verdict.Rules, verdictRules)
	}
}

func met(k KnownFailure) string {
	if k.Met == nil {
		return "nothing"
	}
	return fmt.Sprint(*k.Met)
}

func (c *checker) verdict(got, want Verdict) {
	if got.Result != want.Result {
		c.bad("verdict: result is %q, from the content follows %q", got.Result, want.Result)
	}
	if got.ExitCode != want.ExitCode {
		c.bad("verdict: exitCode is %d, from the content follows %d", got.ExitCode, want.ExitCode)
	}
	if got.Scope != want.Scope {
		c.bad("verdict: scope is %q, from the content follows %q", got.Scope, want.Scope)
	}
	if got.Pairs != want.Pairs {
		c.bad("verdict: pairs is %s, from the requirements follows %s", got.Pairs, want.Pairs)
	}
	c.reasons("verdict", got.Reasons, want.Reasons)
	if g, w := names(got.Profiles), names(want.Profiles); !slices.Equal(g, w) {
		c.bad("verdict: profiles is [%s], from the specs follows [%s]", words(g), words(w))
		return
	}
	for i, w := range want.Profiles {
		g := got.Profiles[i]
		of := "verdict of profile " + string(w.Profile)
		if g.Result != w.Result {
			c.bad("%s: result is %q, from the specs follows %q", of, g.Result, w.Result)
		}
		if !maps.Equal(g.Counts, w.Counts) {
			c.bad("%s: counts is %s, from the specs follows %s", of, counted(g.Counts), counted(w.Counts))
		}
		if g.Pairs != w.Pairs {
			c.bad("%s: pairs is %s, from the requirements follows %s", of, g.Pairs, w.Pairs)
		}
		c.reasons(of, g.Reasons, w.Reasons)
	}
}

func names(profiles []ProfileVerdict) []spec.Profile {
	list := make([]spec.Profile, len(profiles))
	for i, p := range profiles {
		list[i] = p.Profile
	}
	return list
}

// counted lists outcomes by name.
func counted(counts map[spec.Outcome]int) string {
	var parts []string
	for _, o := range sortedKeys(counts) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[o], o))
	}
	return fmt.Sprintf("%q", words(parts))
}

func (c *checker) reasons(of string, got, want []string) {
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = fmt.Sprintf("%q", got[i])
		}
		if i < len(want) {
			w = fmt.Sprintf("%q", want[i])
		}
		if g != w {
			c.bad("%s: reasons[%d] is %s, from the content follows %s", of, i, g, w)
			return
		}
	}
}

// benchmarks checks what a comparison with the control has to be like, and that
// the raw figures are among the evidence, whose digests are kept.
func (c *checker) benchmarks(d Document) {
	for _, b := range d.Benchmarks {
		if b.Raw != "" && !slices.ContainsFunc(d.Evidence, func(f File) bool { return f.Path == b.Raw }) {
			c.bad("benchmark %s (%s): raw is %q, want a file of the evidence", b.Name, b.Profile, b.Raw)
		}
		for _, m := range b.Comparisons {
			bad := func(format string, args ...any) {
				c.bad("benchmark %s (%s): %s: %s", b.Name, b.Profile, m.Metric, fmt.Sprintf(format, args...))
			}
			if m.Better != Higher && m.Better != Lower {
				bad("better is %q, want %s or %s", m.Better, Higher, Lower)
			}
			if !(0 <= m.Low && m.Low <= m.Ratio && m.Ratio <= m.High) {
				bad("ratio is %g with the interval from %g to %g, want it within", m.Ratio, m.Low, m.High)
			}
			if b.Control == nil {
				bad("the benchmark has no control")
			} else if n := min(len(b.Samples), len(b.Control.Samples)); m.Pairs < 0 || m.Pairs > n && n > 0 {
				bad("pairs is %d, there are samples for %d", m.Pairs, n)
			}
		}
	}
}

func (c *checker) qualification(d Document) {
	bad := func(format string, args ...any) { c.bad("qualification: "+format, args...) }
	if d.Run.Retries > 0 {
		bad("run.retries is %d, want 0", d.Run.Retries)
	}
	if d.Run.Selection != "" {
		bad("run.selection is %q, want none", d.Run.Selection)
	}
	if d.Run.Purpose == Measuring {
		bad("run.purpose is %q, want %s", d.Run.Purpose, Conformance)
	}
	if d.Run.Interrupted {
		bad("run.interrupted is true, want a run that came to its end")
	}
	for _, s := range d.Specs {
		if s.Attempts > 1 {
			bad("spec %s: attempts is %d, want 1", s.ID, s.Attempts)
		}
		if s.Outcome == spec.Skipped && !d.outOfScope(s) {
			bad("spec %s: outcome is %q, want every spec to be selected", s.ID, s.Outcome)
		}
	}
	for _, check := range d.Preflight {
		if check.State == CheckSkipped {
			bad("preflight check %s: state is %q, want it examined", check.Name, check.State)
		}
	}
}
