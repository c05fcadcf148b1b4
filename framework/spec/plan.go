package spec

import (
	"fmt"
	"slices"
	"strings"
)

// Presence is whether a cluster has a feature.
type Presence string

const (
	Supported Presence = "supported"
	Absent    Presence = "absent"   // the cluster lacks what the requirements are about
	Unseen    Presence = "not seen" // the suite could not look, or was not allowed to: nothing is known
)

// Support says whether a cluster has a feature. A feature that only the specs
// themselves can find out about has no entry in a map of Support.
type Support struct {
	Presence Presence
	Evidence string // what was seen, one line
	Remedy   string // of what was not seen: what to set or to grant, one line
}

// Planned is a spec with what is to become of it.
type Planned struct {
	Spec
	Outcome Outcome // empty: to run; else Skipped, NotApplicable or Undetermined
	Why     string  // one line, when it does not run
	Remedy  string  // of one that is Undetermined: what to set or to grant
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
// those that need what the cluster lacks are not applicable, and those that need
// what the suite cannot see, or is not allowed to do, are undetermined. The order
// is that of the ids.
func Plan(specs []Spec, skip func(Spec) string, features map[Feature]Support) []Planned {
	plan := make([]Planned, 0, len(specs))
	for _, s := range specs {
		p := Planned{Spec: s}
		if why := skip(s); why != "" {
			p.Outcome, p.Why = Skipped, why
		} else if need, support := s.without(Absent, features); need != "" {
			p.Outcome, p.Why = NotApplicable, fmt.Sprintf("the cluster lacks %s: %s", need, support.Evidence)
		} else if need, support := s.without(Unseen, features); need != "" {
			p.Outcome, p.Why, p.Remedy = Undetermined, fmt.Sprintf("it was not examined for lack of %s: %s; %s", need, support.Evidence, support.Remedy), support.Remedy
		}
		plan = append(plan, p)
	}
	slices.SortFunc(plan, func(a, b Planned) int { return strings.Compare(a.ID, b.ID) })
	return plan
}

// without returns the first need of s that stands so, except for what its
// profile demands.
func (s Spec) without(p Presence, features map[Feature]Support) (Feature, Support) {
	demanded := s.Profile.Demands()
	for _, need := range s.Needs {
		if support := features[need]; support.Presence == p && !slices.Contains(demanded, need) {
			return need, support
		}
	}
	return "", Support{}
}
