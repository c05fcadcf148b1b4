package spec

import (
	"fmt"
	"slices"
	"strings"
)

// Support says whether a cluster has a feature. A feature about which nothing
// could be found out is absent from a map of Support.
type Support struct {
	Supported bool
	Evidence  string // what was seen, one line
}

// Planned is a spec with what is to become of it.
type Planned struct {
	Spec
	Outcome Outcome // empty: to run; else Skipped or NotApplicable
	Why     string  // one line, when it does not run
}

// Demands are the features without which a profile is pointless. A spec that
// needs one of them runs, and fails, on a cluster that lacks it.
func (p Profile) Demands() []Feature {
	switch p {
	case Ephemeral:
		return []Feature{InlineVolume, DAX}
	case Persistent:
		return []Feature{DAX}
	}
	return nil
}

// Plan decides about every spec: those for which skip has a reason are skipped,
// and those that need what the cluster lacks are not applicable. The order is
// that of the ids.
func Plan(specs []Spec, skip func(Spec) string, features map[Feature]Support) []Planned {
	plan := make([]Planned, 0, len(specs))
	for _, s := range specs {
		p := Planned{Spec: s}
		if why := skip(s); why != "" {
			p.Outcome, p.Why = Skipped, why
		} else if why := s.lacks(features); why != "" {
			p.Outcome, p.Why = NotApplicable, why
		}
		plan = append(plan, p)
	}
	slices.SortFunc(plan, func(a, b Planned) int { return strings.Compare(a.ID, b.ID) })
	return plan
}

func (s Spec) lacks(features map[Feature]Support) string {
	demanded := s.Profile.Demands()
	for _, need := range s.Needs {
		support, known := features[need]
		if known && !support.Supported && !slices.Contains(demanded, need) {
			return fmt.Sprintf("the cluster lacks %s: %s", need, support.Evidence)
		}
	}
	return ""
}
