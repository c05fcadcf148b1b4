// Package broken lists the deployments next to it, each of which is broken on
// purpose, with the specs that have to reject it.
package broken

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"pmem-memcached-e2e/framework/spec"
)

// Deployment is one of them.
type Deployment struct {
	Directory  string      `yaml:"directory"`
	Variable   string      `yaml:"variable"` // by which a run gets it: EPHEMERAL or PERSISTENT
	Rejections []Rejection `yaml:"rejections"`
}

// Rejection is how specs fail on a deployment.
type Rejection struct {
	By       []string     `yaml:"by"`                 // ids of the specs
	Violates []spec.ReqID `yaml:"violates"`           // requirements that the failures name
	With     string       `yaml:"with"`               // words of the failures
	Expected bool         `yaml:"expected,omitempty"` // by its author; it has not been seen yet
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
