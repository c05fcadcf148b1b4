package report

import (
	"fmt"
	"slices"

	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/spec"
)

// Exit codes of a run.
const (
	ExitConformant    = 0
	ExitNotConformant = 1
	ExitUndetermined  = 2
	ExitLeaked        = 4
	ExitInterrupted   = 130
)

// Weight orders results, the worst highest. What is the best of a run does not
// depend on its purpose.
func (r Result) Weight() int {
	if r == AllMeasured {
		r = Conformant
	}
	return slices.Index([]Result{NotExamined, Conformant, ConformantKnown, SelectionPassed, SelectionKnown, LeakedOnly, Undetermined, NotConformant}, r)
}

// ExitCode is that of a run that was not interrupted.
func (r Result) ExitCode() int {
	switch r {
	case Conformant, ConformantKnown, SelectionPassed, SelectionKnown, AllMeasured:
		return ExitConformant
	case NotConformant:
		return ExitNotConformant
	case LeakedOnly:
		return ExitLeaked
	}
	return ExitUndetermined
}

// finding is a reason for a result.
type finding struct {
	result Result
	reason string
}

func find(r Result, format string, args ...any) finding {
	return finding{r, fmt.Sprintf(format, args...)}
}

// conclude is the weightiest of findings, which it sorts, but at least least.
func conclude(least Result, findings []finding) (Result, []string) {
	slices.SortStableFunc(findings, func(a, b finding) int { return b.result.Weight() - a.result.Weight() })
	reasons := make([]string, len(findings))
	known := false
	for i, f := range findings {
		reasons[i] = f.reason
		known = known || f.result == ConformantKnown
		if f.result.Weight() > least.Weight() {
			least = f.result
		}
	}
	if known && least == SelectionPassed {
		least = SelectionKnown
	}
	return least, reasons
}

// judge derives the verdict from everything else in the document, by one of
// the sets of rules that there have been.
func (d Document) judge(rules int) Verdict {
	d.Verdict.Rules = rules
	v := Verdict{Rules: rules, Profiles: []ProfileVerdict{}}
	least := NotExamined
	var findings []finding
	for _, profile := range d.profiles() {
		p, found := d.judgeProfile(profile)
		v.Profiles = append(v.Profiles, p)
		if p.Result == NotExamined {
			continue
		}
		findings = append(findings, found...)
		if p.Result.Weight() > least.Weight() {
			least = p.Result
		}
	}
	if least == NotExamined {
		findings = append(findings, find(Undetermined, "no spec was run"))
	}
	if d.selects() {
		findings = append(findings, find(SelectionPassed, "only the specs of %s were selected: this is no verdict about conformance", d.Run.Selection))
	}
	v.Scope, v.Pairs = scope(v.Profiles), d.pairs(spec.Profiles()...)
	v.Result, v.Reasons = conclude(least, append(findings, d.around()...))
	v.ExitCode = v.Result.ExitCode()
	if d.Run.Interrupted {
		v.ExitCode = ExitInterrupted
	}
	return v
}

// scope says that a verdict is not about all profiles; empty when it is, and
// when it is about none.
func scope(profiles []ProfileVerdict) string {
	var examined, others []spec.Profile
	for _, p := range profiles {
		if p.Result == NotExamined {
			others = append(others, p.Profile)
		} else {
			examined = append(examined, p.Profile)
		}
	}
	if len(examined) == 0 || len(others) == 0 {
		return ""
	}
	return fmt.Sprintf("about %s only; nothing is said about %s", list(examined), list(others))
}

// list joins modes by "and".
func list(profiles []spec.Profile) string {
	last := len(profiles) - 1
	if last == 0 {
		return string(profiles[0])
	}
	return words(profiles[:last]) + " and " + string(profiles[last])
}

// around are the findings that are about no single spec.
func (d Document) around() []finding {
	var findings []finding
	if d.Run.Interrupted {
		findings = append(findings, find(Undetermined, "the run was interrupted"))
	}
	for _, t := range d.Errors {
		findings = append(findings, finding{Undetermined, t})
	}
	for _, k := range d.Known {
		if k.Met != nil && !*k.Met {
			findings = append(findings, find(Undetermined, "the known failure of %s in %s was not seen: remove its entry", k.Requirement, k.Spec))
		}
	}
	if n := len(d.Uncompared); n > 0 && d.Run.Purpose != Measuring {
		findings = append(findings, find(Undetermined, "whether something was left behind is not known: %d parts could not be compared, first %s", n, d.Uncompared[0]))
	}
	findings = append(findings, d.offBaseline()...)
	for _, l := range d.Leaks {
		findings = append(findings, find(LeakedOnly, "left behind: %s", l))
	}
	return findings
}

// profiles are those with specs, in the order of the field.
func (d Document) profiles() []spec.Profile {
	var others []spec.Profile
	ordered := []spec.Profile{spec.Ephemeral, spec.Persistent, spec.Driver}
	found := map[spec.Profile]bool{}
	for _, s := range d.Specs {
		if !found[s.Profile] && !slices.Contains(ordered, s.Profile) {
			others = append(others, s.Profile)
		}
		found[s.Profile] = true
	}
	slices.Sort(others)
	return slices.DeleteFunc(append(ordered, others...), func(p spec.Profile) bool { return !found[p] })
}

func (d Document) judgeProfile(profile spec.Profile) (ProfileVerdict, []finding) {
	v := ProfileVerdict{Profile: profile, Counts: map[spec.Outcome]int{}, Pairs: d.pairs(profile), Reasons: []string{}}
	levels, best := d.levels(), Conformant
	measuring := d.Run.Purpose == Measuring
	if measuring {
		levels, best = nil, AllMeasured // what does not pass was not measured, whatever its level
	}
	if d.selects() {
		best = SelectionPassed
	}
	shown := d.shown(profile)
	var findings []finding
	var skipped []string           // of level MUST
	var idle, foreign []SpecResult // not begun; not applicable
	total := 0
	for _, s := range d.Specs {
		if s.Profile != profile {
			continue
		}
		if measuring {
			s.Level = spec.Must
		}
		total++
		v.Counts[s.Outcome]++
		switch {
		case s.Outcome == spec.NotRun || s.unseen():
			idle = append(idle, s)
		case s.Outcome == spec.NotApplicable && s.Level != spec.Should:
			foreign = append(foreign, s)
		default:
			found := s.findings(levels, shown)
			if d.selects() {
				found = s.inSelection(found)
			}
			findings = append(findings, found...)
		}
		if s.Outcome == spec.Skipped && s.Level != spec.Should && !measuring && !d.outOfScope(s) {
			skipped = append(skipped, s.ID)
		}
	}
	findings = append(findings, joined(idle, func(s SpecResult) Result {
		if s.Level == spec.Should && !d.selects() {
			return Conformant
		}
		return Undetermined
	})...)
	findings = append(findings, joined(foreign, func(SpecResult) Result { return Conformant })...)
	switch ran := total - v.Counts[spec.Skipped] - v.Counts[spec.NotApplicable]; {
	case v.Counts[spec.Skipped] == total:
		v.Result, v.Reasons = NotExamined, []string{"none of its specs was selected"}
		return v, nil
	case ran == 0 && (len(skipped) == 0 || d.selects()):
		v.Result, v.Reasons = NotExamined, []string{"none of its specs applies to this cluster"}
		return v, nil
	case ran == v.Counts[spec.Undetermined]+v.Counts[spec.NotRun]:
		findings = append(findings, find(Undetermined, "no spec of the profile %s came to a result", profile))
	}
	if len(skipped) > 0 {
		left := find(Undetermined, "%d MUST specs were skipped on request: %s", len(skipped), words(skipped))
		if d.selects() {
			left = find(SelectionPassed, "%d MUST specs were not selected: %s", len(skipped), words(skipped))
		}
		findings = append(findings, left)
	}
	if measuring {
		findings = asMeasured(findings)
	}
	v.Result, v.Reasons = conclude(best, findings)
	return v, findings
}

// unseen reports whether s was not begun because the suite could not see what
// it needs, or was not allowed to.
func (s SpecResult) unseen() bool {
	return s.Outcome == spec.Undetermined && s.Attempts == 0 && s.Started.IsZero() && len(s.Failures) == 0
}

// joined are the findings about specs that were not begun. Those with the same
// outcome, reason and result have one.
func joined(specs []SpecResult, result func(SpecResult) Result) []finding {
	var findings []finding
	for len(specs) > 0 {
		first, rest, ids := specs[0], []SpecResult{}, []string{}
		for _, s := range specs {
			if s.Outcome == first.Outcome && s.Reason == first.Reason && result(s) == result(first) {
				ids = append(ids, s.ID)
			} else {
				rest = append(rest, s)
			}
		}
		verb := "is"
		if len(ids) > 1 {
			verb = "are"
		}
		findings = append(findings, find(result(first), "%s %s %s: %s", words(ids), verb, first.Outcome, first.Reason))
		specs = rest
	}
	return findings
}

// findings are what s contributes to the verdict; none when it is all well.
// shown are the requirements that other specs have seen met in its mode.
func (s SpecResult) findings(levels map[spec.ReqID]spec.Level, shown map[spec.ReqID]bool) []finding {
	var found []finding
	switch s.Outcome {
	case spec.Failed:
		found = append(found, s.failure(levels, shown)...)
	case spec.Undetermined:
		result := Undetermined
		if s.Level == spec.Should {
			result = Conformant
		}
		found = append(found, find(result, "%s is %s: %s", s.ID, s.Outcome, s.Reason))
	}
	switch {
	case len(s.Leaks) > 0:
		found = append(found, find(LeakedOnly, "%s left behind %d: first %s", s.ID, len(s.Leaks), oneline.Of(s.Leaks[0].String())))
	case s.Outcome == spec.Leaked:
		found = append(found, find(LeakedOnly, "%s leaked: %s", s.ID, s.Reason))
	}
	if s.Attempts > 1 {
		found = append(found, find(Conformant, "%s is flaky: %s at attempt %d", s.ID, s.Outcome, s.Attempts))
	}
	return found
}

// shown are the requirements that a spec of a mode has seen met.
func (d Document) shown(profile spec.Profile) map[spec.ReqID]bool {
	shown := map[spec.ReqID]bool{}
	for _, s := range d.Specs {
		for _, req := range s.Covers {
			if s.Profile == profile && s.fate(req) == spec.Passed {
				shown[req] = true
			}
		}
	}
	return shown
}

// failure is about a spec that has seen a requirement violated. The violation
// may be accepted; a MUST that the spec could not examine because of it is not.
func (s SpecResult) failure(levels map[spec.ReqID]spec.Level, shown map[spec.ReqID]bool) []finding {
	var found []finding
	switch broken := s.failedMusts(levels); {
	case len(broken) > 0 && s.Known == "":
		return []finding{find(NotConformant, "%s failed: %s", s.ID, s.Reason)}
	case len(broken) > 0:
		found = append(found, find(ConformantKnown, "%s fails as known, see %s: %s", s.ID, s.Known, s.Reason))
	default:
		found = append(found, find(Conformant, "%s: a SHOULD is not met: %s", s.ID, s.Reason))
	}
	open := slices.DeleteFunc(s.unknownMusts(levels), func(req spec.ReqID) bool { return shown[req] })
	if len(open) > 0 {
		found = append(found, find(Undetermined, "%s could not examine %s because of it, and no other spec has", s.ID, words(open)))
	}
	return found
}
