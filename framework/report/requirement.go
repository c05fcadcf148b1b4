package report

import (
	"fmt"
	"slices"

	"pmem-memcached-e2e/framework/spec"
)

// fate is what a spec says about one of the requirements that it covers. What
// an undetermined spec saw violated may have come from what broke it off.
func (s SpecResult) fate(req spec.ReqID) spec.Outcome {
	violated := slices.Contains(s.violated(), req)
	if !violated && slices.Contains(s.Inapplicable, req) {
		return spec.NotApplicable
	}
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

// requirementResults are what specs say about each requirement.
func requirementResults(requirements []spec.Requirement, specs []SpecResult) []RequirementResult {
	results := make([]RequirementResult, 0, len(requirements))
	for _, req := range requirements {
		r := RequirementResult{Requirement: req}
		for _, s := range specs {
			if slices.Contains(s.Covers, req.ID) {
				r.Specs = append(r.Specs, s.ID)
			}
		}
		for _, profile := range req.Profiles {
			m := modeResult(req.ID, profile, specs)
			r.Modes = append(r.Modes, m)
			r.Outcome = spec.Worst(r.Outcome, m.Outcome)
		}
		results = append(results, r)
	}
	return results
}

// modeResult is the worst of what several specs say about a requirement in one
// mode. A spec that was skipped does not take away what another has shown.
func modeResult(req spec.ReqID, profile spec.Profile, specs []SpecResult) ModeResult {
	m := ModeResult{Profile: profile}
	var fates []spec.Outcome
	for _, s := range specs {
		if s.Profile == profile && slices.Contains(s.Covers, req) {
			m.Specs = append(m.Specs, s.ID)
			fates = append(fates, s.fate(req))
		}
	}
	if slices.Contains(fates, spec.Passed) {
		fates = slices.DeleteFunc(fates, func(o spec.Outcome) bool { return o == spec.Skipped })
	}
	m.Outcome = spec.Worst(fates...)
	return m
}

// In is what the run says about the requirement in a mode.
func (r RequirementResult) In(profile spec.Profile) ModeResult {
	for _, m := range r.Modes {
		if m.Profile == profile {
			return m
		}
	}
	return ModeResult{Profile: profile}
}

// pairs counts the MUSTs of some modes.
func (d Document) pairs(profiles ...spec.Profile) Pairs {
	in := func(outcomes ...spec.Outcome) spec.PairCount {
		results := make(map[spec.ReqID]RequirementResult, len(d.Requirements))
		list := make([]spec.Requirement, len(d.Requirements))
		for i, r := range d.Requirements {
			results[r.ID], list[i] = r, r.Requirement
		}
		return spec.CountPairs(list, profiles, func(id spec.ReqID, p spec.Profile) bool {
			return slices.Contains(outcomes, results[id].In(p).Outcome)
		})
	}
	return Pairs{PairCount: in(spec.Passed, spec.Failed), Met: in(spec.Passed).Examined}
}

// String is for people.
func (p Pairs) String() string {
	return fmt.Sprintf("%d of %d examined, %d met", p.Examined, p.Stated, p.Met)
}

// levels are those of the requirements in d.
func (d Document) levels() map[spec.ReqID]spec.Level {
	m := make(map[spec.ReqID]spec.Level, len(d.Requirements))
	for _, r := range d.Requirements {
		m[r.ID] = r.Level
	}
	return m
}
