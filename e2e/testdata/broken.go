package testdata

import (
	_ "embed"
	"fmt"

	"sigs.k8s.io/yaml"
)

//go:embed broken.yaml
var brokenFile []byte

// Broken is a deployment with one fault and what has to notice it.
type Broken struct {
	Setting   string   `json:"setting"`   // that names it for a run: EPHEMERAL or PERSISTENT
	Directory string   `json:"directory"` // below e2e/testdata/broken
	Specs     []string `json:"specs"`     // each must fail
	Checks    string   `json:"checks"`    // the words that they must fail with, with ids of requirements
}

// AllBroken returns the deployments that are broken on purpose.
func AllBroken() ([]Broken, error) {
	var all []Broken
	if err := yaml.UnmarshalStrict(brokenFile, &all); err != nil {
		return nil, fmt.Errorf("read broken.yaml: %w", err)
	}
	return all, nil
}
