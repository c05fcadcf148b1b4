// Package broken lists the deployments next to it, each of which is broken on
// purpose, with the specs that have to reject it.
package broken

import (
	_ "embed"
	"fmt"
	"path"
	"strings"

	"github.com/goccy/go-yaml"

	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/spec"
)

// Deployment is one of them.
type Deployment struct {
	Directory  string             `yaml:"directory"`
	Variable   string             `yaml:"variable"` // by which a run gets it: EPHEMERAL or PERSISTENT
	Rejections []mutant.Rejection `yaml:"rejections"`
}

// Mutant is the deployment as one of the mutants.
func (d Deployment) Mutant() mutant.Mutant {
	mode := spec.Persistent
	if d.Variable == "EPHEMERAL" {
		mode = spec.Ephemeral
	}
	return mutant.Mutant{Name: d.Directory, Mode: mode, Overlay: path.Join("e2e/testdata/broken", d.Directory), Rejections: d.Rejections}
}

//go:embed broken.yaml
var file []byte

// Deployments returns all of them.
func Deployments() ([]Deployment, error) {
	var all []Deployment
	if err := yaml.UnmarshalWithOptions(file, &all, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("broken.yaml: %w", err)
	}
	return all, nil
}

// Markdown is a table of the rejections that were seen, or of those that are
// expected.
func Markdown(deployments []Deployment, expected bool) string {
	var b strings.Builder
	b.WriteString("| variable, directory in `e2e/testdata/broken` | must fail | with |\n|---|---|---|\n")
	for _, d := range deployments {
		first := "`" + d.Variable + "` `" + d.Directory + "` "
		for _, r := range d.Rejections {
			if r.Expected == expected {
				fmt.Fprintf(&b, "| %s| %s | %s |\n", first, strings.Join(r.By, ", "), r.With)
				first = ""
			}
		}
	}
	return b.String()
}
