// Package mutants lists all deployments with one fault, and those with a change that nobody can observe.
package mutants

import (
	_ "embed"
	"fmt"
	"slices"

	"pmem-memcached-e2e/e2e/testdata/broken"
	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/manifests"
)

//go:embed mutants.yaml
var file []byte

//go:embed drivers.yaml
var drivers []byte

//go:embed exempt.yaml
var exempt []byte

//go:embed proof.yaml
var proof []byte

// Proof returns what is recorded of runs of the specs on all mutants.
func Proof() (spec.Proof, error) { return spec.ParseProof(proof) }

// Exempt returns the requirements that none of all mutants can violate.
func Exempt(c spec.Catalogue, all []mutant.Mutant) ([]mutant.Exemption, error) {
	return mutant.Exemptions("exempt.yaml", exempt, c, all)
}

// All returns the overlays that are broken on purpose, the edits of the manifests and the lies of the driver, each with a name of its own.
func All(c spec.Catalogue) ([]mutant.Mutant, error) {
	deployments, err := broken.Deployments()
	if err != nil {
		return nil, err
	}
	var all []mutant.Mutant
	for _, d := range deployments {
		all = append(all, d.Mutant())
	}
	declared, err := mutant.Declared("mutants.yaml", file, manifests.FS, c)
	if err != nil {
		return nil, err
	}
	lies, err := mutant.Drivers("drivers.yaml", drivers, c)
	if err != nil {
		return nil, err
	}
	all = slices.Concat(all, declared, lies)
	seen := map[string]bool{}
	for _, m := range all {
		if seen[m.Name] {
			return nil, fmt.Errorf("there are two mutants with the name %q", m.Name)
		}
		seen[m.Name] = true
		specs := m.Specs()
		if n := len(c.Measuring(specs)); n > 0 && n < len(specs) {
			return nil, fmt.Errorf("%s is run on %v, of which some are benchmarks, which have runs of their own: declare another mutant for them", m.Name, specs)
		}
	}
	return all, nil
}
