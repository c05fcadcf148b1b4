package report

import (
	"slices"

	"pmem-memcached-e2e/framework/spec"
)

// fate is what a spec says about one of the requirements that it covers. What
// an undetermined spec saw violated may have come from what broke it off.
func (s SpecResult) fate(req spec.ReqID) spec.Outcome {
	violated := slices.Contains(s.violated(), req)
	switch s.Outcome {
	case spec.Passed, spec.Leaked:
		return spec.Passed
	case spec.Failed, spec.Undetermined:
		switch {
		case violated:
			return s.Outcome
		case s.Complete && slices.Contains(s.Examined, req):
			return spec.Passed
		}
		return spec.Undetermined
	}
	return s.Outcome
}

// weightiest of what several specs say about a requirement comes first. A
// spec that was skipped does not take away what another has shown.
var weightiest = []spec.Outcome{spec.Failed, spec.Undetermined, spec.NotRun, spec.Passed, spec.Skipped, spec.NotApplicable}

// requirementResults tells what specs say about each requirement.
func requirementResults(requirements []spec.Requirement, specs []SpecResult) []RequirementResult {
	results := make([]RequirementResult, 0, len(requirements))
	for _, req := range requirements {
		r := RequirementResult{Requirement: req}
		for _, s := range specs {
			if !slices.Contains(s.Covers, req.ID) {
				continue
			}
			r.Specs = append(r.Specs, s.ID)
			fate := s.fate(req.ID)
			if r.Outcome == "" || slices.Index(weightiest, fate) < slices.Index(weightiest, r.Outcome) {
				r.Outcome = fate
			}
		}
		results = append(results, r)
	}
	return results
}

// levels are those of the requirements in d.
func (d Document) levels() map[spec.ReqID]spec.Level {
	m := make(map[spec.ReqID]spec.Level, len(d.Requirements))
	for _, r := range d.Requirements {
		m[r.ID] = r.Level
	}
	return m
}
