package mutant

import (
	"errors"
	"fmt"

	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/strictyaml"
)

// Drivers makes mutants of the lies of the driver that a file declares: one for each mode whose specs are named.
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
		modes := modesOf(d.By, c)
		if len(modes) == 0 {
			errs = append(errs, fmt.Errorf("%s:%d: by is %v, which names no spec", name, line, d.By))
		}
		for _, lie := range d.Lies {
			for _, mode := range modes {
				m := Mutant{Name: driverName(mode, lie), Mode: mode, Driver: lie, Equivalent: d.Equivalent}.judged(inMode(d.By, mode, c), d.Violates, d.With)
				if err := add(&mutants, m); err != nil {
					errs = append(errs, fmt.Errorf("%s:%d: lies has %q, %w", name, line, lie, err))
				}
			}
		}
		return errs
	})
	errs := []error{err}
	for _, m := range mutants {
		errs = append(errs, m.Validate(c))
	}
	return mutants, errors.Join(errs...)
}

func driverName(mode spec.Profile, lie string) string {
	if mode == spec.Driver {
		return "driver-" + lie
	}
	return fmt.Sprintf("%s-driver-%s", mode, lie)
}
