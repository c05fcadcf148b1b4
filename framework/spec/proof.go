package spec

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"
)

// Proof is what is on record about the specs themselves: how many mutants they have killed, which are deployments with
// one fault each, and how many equivalents they have accepted, whose change nobody can observe.
type Proof struct {
	Killed      int         `yaml:"killed"`
	Mutants     int         `yaml:"mutants"` // all that are declared, run or not
	Accepted    int         `yaml:"accepted"`
	Equivalents int         `yaml:"equivalents"`
	Earlier     int         `yaml:"earlier,omitempty"` // of those that were killed or accepted, on manifests that have changed since
	Pairs       []PairProof `yaml:"pairs"`             // all that specs examine, in the order of the requirements
}

// PairProof is what mutants say about a requirement in a mode.
type PairProof struct {
	Requirement ReqID    `yaml:"requirement"`
	Profile     Profile  `yaml:"profile"`
	Killed      int      `yaml:"killed"`           // by a check that names it
	Mutants     int      `yaml:"mutants"`          // that violate it
	Specs       []string `yaml:"specs,omitempty"`  // that named it on a mutant that they killed, by id
	Exempt      string   `yaml:"exempt,omitempty"` // why no mutant can violate it; empty: one can
}

// ParseProof reads the file that [Proof.YAML] writes.
func ParseProof(data []byte) (Proof, error) {
	var p Proof
	if err := yaml.UnmarshalWithOptions(data, &p, yaml.Strict()); err != nil {
		return Proof{}, fmt.Errorf("decode what mutants say about the specs: %w", err)
	}
	return p, nil
}

// YAML is the proof for programs.
func (p Proof) YAML() ([]byte, error) {
	data, err := yaml.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode what mutants say about the specs: %w", err)
	}
	return append([]byte("# Written by make catalogue; changes here are lost.\n"), data...), nil
}

// String is the score in one line.
func (p Proof) String() string {
	text := fmt.Sprintf("%d of %d mutants killed, %d of %d equivalents accepted", p.Killed, p.Mutants, p.Accepted, p.Equivalents)
	if p.Earlier > 0 {
		text += fmt.Sprintf(", %d of these on earlier manifests", p.Earlier)
	}
	return text
}

// Of is what mutants say about a requirement in a mode. There is nothing when no spec examines it.
func (p Proof) Of(req ReqID, mode Profile) (PairProof, bool) {
	i := slices.IndexFunc(p.Pairs, func(pair PairProof) bool { return pair.Requirement == req && pair.Profile == mode })
	if i < 0 {
		return PairProof{}, false
	}
	return p.Pairs[i], true
}

// String has how many of the mutants were killed, or that there is none.
func (p PairProof) String() string {
	switch {
	case p.Exempt != "":
		return "none can"
	case p.Mutants == 0:
		return "none yet"
	}
	return fmt.Sprintf("%d of %d", p.Killed, p.Mutants)
}
