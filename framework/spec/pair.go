package spec

import "slices"

// Pair is a requirement in one of the modes for which it is stated. It is the
// unit of what a run examines: a requirement that a deployment of one mode
// meets says nothing about the other mode.
type Pair struct {
	Requirement ReqID
	Level       Level
	Profile     Profile
	Specs       []string // that examine it, by id
	Unexamined  string   // why none does; empty: specs do
}

// Pairs are those of all requirements, in the order of their file.
func (c Catalogue) Pairs() []Pair {
	var pairs []Pair
	for _, r := range c.Requirements {
		for _, p := range r.Profiles {
			pairs = append(pairs, Pair{r.ID, r.Level, p, c.CoveredIn(r.ID, p), r.WhyUnexamined(p)})
		}
	}
	return pairs
}

// CoveredIn lists the ids of the specs that cover a requirement in a mode.
func (c Catalogue) CoveredIn(id ReqID, p Profile) []string {
	var found []string
	for _, s := range c.Specs {
		if s.Profile == p && slices.Contains(s.Covers, id) {
			found = append(found, s.ID)
		}
	}
	return found
}

// PairCount counts pairs of level MUST.
type PairCount struct {
	Stated   int `yaml:"stated"`
	Examined int `yaml:"examined"`
}

// CountPairs counts the pairs of level MUST in the given modes.
func CountPairs(requirements []Requirement, modes []Profile, examined func(ReqID, Profile) bool) PairCount {
	var n PairCount
	for _, r := range requirements {
		for _, p := range r.Profiles {
			if r.Level != Must || !slices.Contains(modes, p) {
				continue
			}
			n.Stated++
			if examined(r.ID, p) {
				n.Examined++
			}
		}
	}
	return n
}

// MustPairs counts those of c; examined are those that a spec covers.
func (c Catalogue) MustPairs() PairCount {
	return CountPairs(c.Requirements, Profiles(), func(id ReqID, p Profile) bool { return len(c.CoveredIn(id, p)) > 0 })
}

// PlannedPairs counts pairs in one mode; examined are those that a spec covers
// which is to run.
func PlannedPairs(requirements []Requirement, plan []Planned, mode Profile) PairCount {
	return CountPairs(requirements, []Profile{mode}, func(id ReqID, p Profile) bool {
		return slices.ContainsFunc(plan, func(s Planned) bool {
			return s.Outcome == "" && s.Profile == p && slices.Contains(s.Covers, id)
		})
	})
}
