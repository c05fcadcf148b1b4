package matrix

import _ "embed"

//go:embed sets.yaml
var setsFile []byte

// Published returns the sets that this project publishes.
func Published() (Sets, error) { return ParseSets(setsFile) }
