package report

import "pmem-memcached-e2e/framework/spec"

// verdictRules are those by which a run is judged now. Those of 0 have no
// SELECTION PASSED: a selection that leaves a MUST out is undetermined.
const verdictRules = 2

// selects reports whether the user's filter chose the specs whose conformance
// is examined. Such a run is never conformant, whatever it selects.
func (d Document) selects() bool {
	return d.Verdict.Rules >= verdictRules && d.Run.Selection != "" && d.Run.Purpose != Measuring
}

// inSelection is what findings about s say in a run of selected specs: each of
// them has to pass, whatever its level.
func (s SpecResult) inSelection(findings []finding) []finding {
	if s.Outcome != spec.Undetermined && (s.Outcome != spec.Failed || s.Known != "") {
		return findings
	}
	for i := range findings {
		if findings[i].result == Conformant {
			findings[i].result = Undetermined
		}
	}
	return findings
}
