package spec

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"slices"
)

const requirementsName = "requirements.yaml"

//go:embed requirements.yaml
var requirementsFile []byte

// Catalogue is all that is required and all that is checked.
type Catalogue struct {
	Requirements []Requirement
	Specs        []Spec // by id

	places map[ReqID]place // of Requirements in their file
}

// NewCatalogue puts specs next to the list of requirements. A defect of a spec
// or of the list is an error; whether the two fit together says
// [Catalogue.Validate].
func NewCatalogue(specs []Spec) (Catalogue, error) {
	return newCatalogue(requirementsFile, specs)
}

func newCatalogue(file []byte, specs []Spec) (Catalogue, error) {
	requirements, places, err := parseRequirements(requirementsName, file)
	if err != nil {
		return Catalogue{}, err
	}
	c := Catalogue{Requirements: requirements, Specs: slices.Clone(specs), places: places}
	slices.SortFunc(c.Specs, func(a, b Spec) int { return cmp.Compare(a.ID, b.ID) })
	errs := []error{ValidateAll(c.Specs)}
	for _, s := range c.Specs {
		for _, id := range s.Covers {
			if _, ok := c.Requirement(id); !ok {
				errs = append(errs, fmt.Errorf("spec %q: Covers is %q, want an id of %s", s.ID, id, requirementsName))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Catalogue{}, err
	}
	return c, nil
}

// Requirement returns the requirement with an id.
func (c Catalogue) Requirement(id ReqID) (Requirement, bool) {
	i := slices.IndexFunc(c.Requirements, func(r Requirement) bool { return r.ID == id })
	if i < 0 {
		return Requirement{}, false
	}
	return c.Requirements[i], true
}

// CoveredBy lists the ids of the specs that cover a requirement.
func (c Catalogue) CoveredBy(id ReqID) []string {
	var found []string
	for _, s := range c.Specs {
		if slices.Contains(s.Covers, id) {
			found = append(found, s.ID)
		}
	}
	return found
}

// Validate reports where specs and requirements do not fit together: each
// requirement is in each of its modes either covered or says why not, a spec is
// as binding as the most binding requirement that it covers, and is of a profile
// in which each of them holds. It is meant for all specs, not for some.
func (c Catalogue) Validate() error {
	var errs []error
	for _, r := range c.Requirements {
		covered := c.CoveredBy(r.ID)
		switch {
		case len(covered) == 0 && r.Uncovered == "":
			errs = append(errs, c.places[r.ID].errorf(r.ID, "uncovered", r.Uncovered, "a reason, because no spec covers it"))
		case len(covered) > 0 && r.Uncovered != "":
			errs = append(errs, c.places[r.ID].errorf(r.ID, "uncovered", r.Uncovered, "nothing, because spec "+covered[0]+" covers it"))
		}
	}
	for _, p := range c.Pairs() {
		errs = append(errs, c.pairFits(p))
	}
	for _, s := range c.Specs {
		errs = append(errs, c.fits(s))
	}
	return errors.Join(errs...)
}

// pairFits leaves requirements that no spec covers in any mode to Validate.
func (c Catalogue) pairFits(p Pair) error {
	r, _ := c.Requirement(p.Requirement)
	switch place := c.places[r.ID]; {
	case r.Uncovered != "" || len(c.CoveredBy(r.ID)) == 0:
		return nil
	case len(p.Specs) == 0 && p.Unexamined == "":
		return place.errorf(r.ID, "unexamined", "", fmt.Sprintf("a reason for %s, because no spec covers it in that mode", p.Profile))
	case len(p.Specs) > 0 && p.Unexamined != "":
		return place.errorf(r.ID, "unexamined", p.Unexamined, fmt.Sprintf("nothing for %s, because spec %s covers it", p.Profile, p.Specs[0]))
	}
	return nil
}

func (c Catalogue) fits(s Spec) error {
	var errs []error
	level, from := Should, ReqID("")
	for _, id := range s.Covers {
		r, ok := c.Requirement(id)
		if !ok {
			continue
		}
		if r.Level == Must && level != Must {
			level, from = Must, id
		}
		if !slices.Contains(r.Profiles, s.Profile) {
			errs = append(errs, fmt.Errorf("spec %q: Profile is %q, want one of %v, where %s holds", s.ID, s.Profile, r.Profiles, id))
		}
	}
	switch {
	case s.Level == level:
	case level == Must:
		errs = append(errs, fmt.Errorf("spec %q: Level is %q, want %q, which %s is", s.ID, s.Level, level, from))
	default:
		errs = append(errs, fmt.Errorf("spec %q: Level is %q, want %q, because nothing that it covers is a %s", s.ID, s.Level, level, Must))
	}
	return errors.Join(errs...)
}

// Measuring are those of some ids that are benchmarks.
func (c Catalogue) Measuring(ids []string) []string {
	var found []string
	for _, s := range c.Specs {
		if s.Measures() && slices.Contains(ids, s.ID) {
			found = append(found, s.ID)
		}
	}
	return found
}
