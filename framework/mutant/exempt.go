package mutant

import (
	"fmt"
	"slices"

	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/strictyaml"
)

// Exemption is a requirement that no mutant violates in a mode, and why none can.
type Exemption struct {
	Requirement spec.ReqID
	Profile     spec.Profile
	Because     string
}

// Exemptions reads the requirements that a file says no mutant can violate, in all modes in which specs examine them or in
// some. One that a mutant violates, or that no spec examines, is an error.
func Exemptions(name string, file []byte, c spec.Catalogue, mutants []Mutant) ([]Exemption, error) {
	type declaration struct {
		Requirements []spec.ReqID   `yaml:"requirements"`
		Modes        []spec.Profile `yaml:"modes,omitempty"`
		Because      string         `yaml:"because"`
	}
	var all []Exemption
	err := strictyaml.ReadList(name, file, func(d declaration, _ map[string]int, line int) []error {
		var errs []error
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s:%d: %s", name, line, fmt.Sprintf(format, args...)))
		}
		if d.Because == "" {
			bad("because is empty; say why no mutant can violate %v", d.Requirements)
		}
		for _, req := range d.Requirements {
			found := false
			for _, p := range c.Pairs() {
				if p.Requirement != req || len(p.Specs) == 0 || len(d.Modes) > 0 && !slices.Contains(d.Modes, p.Profile) {
					continue
				}
				found = true
				if i := slices.IndexFunc(mutants, func(m Mutant) bool { return m.Mode == p.Profile && slices.Contains(m.Violates(), req) }); i >= 0 {
					bad("requirements has %s, which mutant %s violates in mode %s; remove it", req, mutants[i].Name, p.Profile)
				}
				all = append(all, Exemption{req, p.Profile, d.Because})
			}
			if !found {
				bad("requirements has %s, which no spec examines in the modes %v; remove it", req, d.Modes)
			}
		}
		return errs
	})
	return all, err
}
