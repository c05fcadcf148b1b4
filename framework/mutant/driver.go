package mutant

import (
	"fmt"

	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/strictyaml"
)

// Drivers makes mutants of the lies of the driver that a file declares. They are of the mode of the driver's specs.
func Drivers(name string, file []byte, c spec.Catalogue) ([]Mutant, error) {
	type declaration struct {
		Violates   []spec.ReqID `yaml:"violates,omitempty"`
		Equivalent string       `yaml:"equivalent,omitempty"`
		By         []string     `yaml:"by"`
		With       string       `yaml:"with,omitempty"`
		Lies       []string     `yaml:"lies"`
	}
	var mutants []Mutant
	err := strictyaml.ReadList(name, file, func(d declaration, _ map[string]int, line int) []error {
		var errs []error
		for _, lie := range d.Lies {
			m := Mutant{Name: "driver-" + lie, Mode: spec.Driver, Driver: lie, Equivalent: d.Equivalent}.judged(d.By, d.Violates, d.With)
			if err := m.Validate(c); err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: %w", name, line, err))
			}
			mutants = append(mutants, m)
		}
		return errs
	})
	return mutants, err
}
