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
	Examined int `yaml:"examined"` // by at least one spec
}

// MustPairs counts those of c.
func (c Catalogue) MustPairs() PairCount {
	var n PairCount
	for _, p := range c.Pairs() {
		if p.Level != Must {
			continue
		}
		n.Stated++
		if len(p.Specs) > 0 {
			n.Examined++
		}
	}
	return n
}
