// Package catalogue tests that the catalogue next to the specs is what they and the
// requirements say.
package catalogue

import (
	"testing"

	_ "pmem-memcached-e2e/e2e" // the specs
	"pmem-memcached-e2e/e2e/testdata/mutants"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/spec"
)

// TestCatalogue makes sure that requirements and specs fit together and that
// the catalogue next to the specs matches them.
func TestCatalogue(t *testing.T) {
	c, err := spec.NewCatalogue(framework.Specs())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatalf("requirements and specs do not fit together:\n%v", err)
	}
	table, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	proof, err := mutants.Proof()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"../../CATALOGUE.md": c.Markdown(proof), "../../catalogue.yaml": table} {
		golden.File(t, name, want)
	}
	if t.Failed() {
		t.Log("make catalogue writes both files; commit them")
	}
}
