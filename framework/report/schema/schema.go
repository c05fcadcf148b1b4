// Package schema has the JSON schemas of the report and of the files that a user
// writes. They are made from the Go types; go test -update writes them.
package schema

import (
	"embed"
	"fmt"
	"strings"

	"pmem-memcached-e2e/framework/nearest"
)

//go:embed *.json
var files embed.FS

// Names lists the kinds of files that have a schema.
func Names() []string { return []string{"report", "known-failures", "baseline", "config"} }

// Of returns the JSON schema of a kind of file.
func Of(name string) ([]byte, error) {
	data, err := files.ReadFile(name + ".json")
	if err != nil {
		return nil, fmt.Errorf("%q has no schema; did you mean %s? There are %s", name, nearest.To(name, Names()), strings.Join(Names(), ", "))
	}
	return data, nil
}
