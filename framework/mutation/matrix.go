package mutation

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/goccy/go-yaml"

	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/strictyaml"
)

// Schema names the form of a matrix.
const Schema = "pmem-memcached-e2e/mutation/v1"

// Matrix is what became of the mutants that have run. It is also what a later run resumes from.
type Matrix struct {
	Schema   string   `yaml:"schema"`
	Void     string   `yaml:"void,omitempty"` // why nothing was measured
	Program  string   `yaml:"program"`        // digest
	Declared int      `yaml:"declared"`       // mutants that are to be killed, run or not
	Equal    int      `yaml:"equivalents"`    // likewise
	Baseline Baseline `yaml:"baseline"`
	Results  []Result `yaml:"results"` // by name
}

// Baseline is how the specs ended on the manifests as they are.
type Baseline struct {
	Passed        []string `yaml:"passed,omitempty"`
	NotApplicable []string `yaml:"notApplicable,omitempty"`
	Seconds       float64  `yaml:"seconds"`
}

// Exit codes besides those of a run that could not start or was interrupted.
const (
	ExitGood = report.ExitConformant
	ExitBad  = report.ExitNotConformant // survivors, wrong reasons, false alarms, errors
	ExitVoid = report.ExitUndetermined  // also when something is undetermined
)

// ExitCode is what the results of some mutants say.
func (m Matrix) ExitCode(chosen []mutant.Mutant) int {
	if m.Void != "" {
		return ExitVoid
	}
	code := ExitGood
	for _, c := range chosen {
		r, found := m.find(c.Name)
		switch {
		case !found || r.State == Undetermined:
			code = cmp.Or(code, ExitVoid)
		case !r.State.Good():
			return ExitBad
		}
	}
	return code
}

// Count is how many mutants are in a state.
func (m Matrix) Count(s State) int {
	n := 0
	for _, r := range m.Results {
		if r.State == s {
			n++
		}
	}
	return n
}

// Score is the result in one line.
func (m Matrix) Score() string {
	if m.Void != "" {
		return "VOID: nothing was measured, because " + m.Void
	}
	var mutants, equivalents int
	for _, r := range m.Results {
		if r.Equivalent == "" {
			mutants++
		} else {
			equivalents++
		}
	}
	text := fmt.Sprintf("%d of %d mutants killed, %d of %d equivalents accepted", m.Count(Killed), mutants, m.Count(Accepted), equivalents)
	if mutants < m.Declared || equivalents < m.Equal {
		text += fmt.Sprintf("; %d of %d declared mutants and %d of %d equivalents have run", mutants, m.Declared, equivalents, m.Equal)
	}
	return text
}

func (m Matrix) find(name string) (Result, bool) {
	i, found := slices.BinarySearchFunc(m.Results, name, func(r Result, name string) int { return cmp.Compare(r.Mutant, name) })
	if !found {
		return Result{}, false
	}
	return m.Results[i], true
}

func (m *Matrix) put(r Result) {
	i, found := slices.BinarySearchFunc(m.Results, r.Mutant, func(r Result, name string) int { return cmp.Compare(r.Mutant, name) })
	if found {
		m.Results[i] = r
	} else {
		m.Results = slices.Insert(m.Results, i, r)
	}
}

const matrixFile = "mutation.yaml"

// Decode reads a matrix that a run has written.
func Decode(name string, text []byte) (Matrix, error) {
	var m Matrix
	f, err := strictyaml.Parse(name, 0, text)
	if err == nil {
		err = errors.Join(f.Require("schema", Schema, "remove the file to begin from nothing"), f.Decode(&m))
	}
	return m, err
}

// Markdown is the matrix as text, with all that is declared, and without results of mutants that have changed.
func (m Matrix) Markdown(c spec.Catalogue, mutants []mutant.Mutant) string {
	m.Declared, m.Equal = declared(mutants)
	m.Results = slices.DeleteFunc(slices.Clone(m.Results), func(r Result) bool {
		i := slices.IndexFunc(mutants, func(x mutant.Mutant) bool { return x.Name == r.Mutant })
		return i < 0 || mutants[i].Changed() != r.Changed || !slices.Equal(mutants[i].Violates(), r.Violates)
	})
	return view{m, c, mutants}.markdown()
}

func declared(mutants []mutant.Mutant) (killed, equivalents int) {
	for _, m := range mutants {
		if m.Equivalent == "" {
			killed++
		} else {
			equivalents++
		}
	}
	return killed, equivalents
}

// read is the matrix of an earlier run, without what another program has found, or about mutants that have changed.
func (h Harness) read() (Matrix, error) {
	m := Matrix{Schema: Schema}
	path := filepath.Join(h.Dir, matrixFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	} else if err == nil {
		m, err = Decode(path, text)
	}
	if err != nil {
		return Matrix{}, fmt.Errorf("read the earlier results: %w", err)
	}
	if m.Program != h.Program {
		m = Matrix{Schema: Schema, Program: h.Program}
	}
	m.Void = ""
	m.Declared, m.Equal = declared(h.Mutants)
	keys := map[string]string{}
	for _, x := range h.Mutants {
		keys[x.Name] = h.key(x)
	}
	m.Results = slices.DeleteFunc(m.Results, func(r Result) bool { return r.Key != keys[r.Mutant] })
	return m, nil
}

// write puts the matrix into the directory, in all its forms.
func (h Harness) write(m Matrix) error {
	v := view{m, h.Catalogue, h.Mutants}
	text, err := yaml.MarshalWithOptions(m, yaml.IndentSequence(false),
		yaml.CustomMarshaler(func(s string) ([]byte, error) { return []byte(strictyaml.Text(s)), nil }))
	if err != nil {
		return fmt.Errorf("encode the matrix: %w", err)
	}
	page, err := v.page()
	if err != nil {
		return fmt.Errorf("make the page of the matrix: %w", err)
	}
	return report.WriteFiles(h.Dir, map[string][]byte{matrixFile: text, "mutation.md": []byte(v.markdown()), "mutation.html": page})
}
