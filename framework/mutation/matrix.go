package mutation

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/goccy/go-yaml"

	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/report"
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

// ExitCode is what the results of some mutants say. Where the time is limited, not all of them need to have run.
func (m Matrix) ExitCode(chosen []mutant.Mutant, limited bool) int {
	ran := func(c mutant.Mutant) bool {
		_, found := m.find(c.Name)
		return found
	}
	if m.Void != "" || !slices.ContainsFunc(chosen, ran) {
		return ExitVoid
	}
	code := ExitGood
	for _, c := range chosen {
		r, found := m.find(c.Name)
		switch {
		case !found && limited:
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

// Good reports whether the matrix has a result of a mutant that is as it should be, and that took no longer than a time.
func (m Matrix) Good(name string, limit time.Duration) bool {
	r, found := m.find(name)
	return found && r.State.Good() && r.Seconds <= limit.Seconds()
}

// Fresh reports whether the matrix has a result of a mutant that is as it should be, and that was seen on the manifests as they are.
func (m Matrix) Fresh(name string) bool {
	r, found := m.find(name)
	return found && r.State.Good() && !r.Earlier
}

// earlier is how many results were seen on earlier manifests.
func (m Matrix) earlier() int {
	n := 0
	for _, r := range m.Results {
		if r.Earlier {
			n++
		}
	}
	return n
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

// Decode reads a matrix that a run has written. Where two of them were put together, the order may be another one.
func Decode(name string, text []byte) (Matrix, error) {
	var m Matrix
	f, err := strictyaml.Parse(name, 0, text)
	if err == nil {
		err = errors.Join(f.Require("schema", Schema, "remove the file to begin from nothing"), f.Decode(&m))
	}
	slices.SortStableFunc(m.Results, func(a, b Result) int { return cmp.Compare(a.Mutant, b.Mutant) })
	for i := 1; i < len(m.Results); i++ {
		if mutant := m.Results[i].Mutant; mutant == m.Results[i-1].Mutant {
			err = errors.Join(err, fmt.Errorf("%s: mutant %q has two results: remove one of them", name, mutant))
		}
	}
	return m, err
}

// Markdown is the matrix as text, with all that is declared, and without results of mutants that have changed.
func (d Declared) Markdown(m Matrix) (string, error) {
	m, err := d.Current(m)
	m.Declared, m.Equal = d.count()
	return d.view(m).markdown(), err
}

// current leaves out the results of mutants that have changed, and marks those that were seen on other manifests.
func current(results []Result, ids map[string]identity) []Result {
	kept := slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return r.Key == "" || r.Key != ids[r.Mutant].key })
	for i, r := range kept {
		kept[i].Earlier = r.Manifests != ids[r.Mutant].manifests
	}
	return kept
}

// Current is m without the results of mutants that have changed.
func (d Declared) Current(m Matrix) (Matrix, error) {
	ids, err := d.identities()
	m.Results = current(m.Results, ids)
	return m, err
}

// ReadFile reads the matrix in a file, without what has changed since then. One that is not there has no results.
func (d Declared) ReadFile(path string) (Matrix, error) {
	m, err := readFile(path)
	if err != nil {
		return Matrix{}, err
	}
	return d.Current(m)
}

func readFile(path string) (Matrix, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Matrix{Schema: Schema}, nil
	}
	m := Matrix{}
	if err == nil {
		m, err = Decode(path, text)
	}
	if err != nil {
		return Matrix{}, fmt.Errorf("read the earlier results: %w", err)
	}
	return m, nil
}

// read takes over the matrix of an earlier run, without what another program has found, or about mutants that have
// changed, and the record of what all programs have found.
func (s *session) read() error {
	m, err := readFile(filepath.Join(s.Dir, matrixFile))
	if err != nil {
		return err
	}
	if m.Program != s.Build.Digest {
		m = Matrix{Schema: Schema, Program: s.Build.Digest}
	}
	m.Void = ""
	m.Declared, m.Equal = s.count()
	m.Results = slices.DeleteFunc(current(m.Results, s.ids), func(r Result) bool { return r.Earlier })
	s.matrix = m
	if s.Record != "" {
		s.recorded, err = readFile(s.Record)
		s.recorded.Results = current(s.recorded.Results, s.ids)
	}
	return err
}

// record adds results to those of all programs. What is undetermined or in error says nothing that is worth it.
func (s *session) record(results []Result) error {
	if s.Record == "" {
		return nil
	}
	for _, r := range results {
		if r.State == Undetermined || r.State == Invalid {
			continue
		}
		r.Report = ""
		s.recorded.put(r)
	}
	s.recorded.Program, s.recorded.Declared, s.recorded.Equal = s.Build.Digest, s.matrix.Declared, s.matrix.Equal
	for _, id := range s.matrix.Baseline.Passed {
		if !slices.Contains(s.recorded.Baseline.Passed, id) {
			s.recorded.Baseline.Passed = append(s.recorded.Baseline.Passed, id)
		}
	}
	text, err := encode(s.recorded)
	if err != nil {
		return err
	}
	return report.WriteFiles(filepath.Dir(s.Record), map[string][]byte{filepath.Base(s.Record): text})
}

func encode(m Matrix) ([]byte, error) {
	text, err := yaml.MarshalWithOptions(m, yaml.IndentSequence(false),
		yaml.CustomMarshaler(func(s string) ([]byte, error) { return []byte(strictyaml.Text(s)), nil }))
	if err != nil {
		return nil, fmt.Errorf("encode the matrix: %w", err)
	}
	return text, nil
}

// write puts the matrix into the directory, in all its forms.
func (s *session) write() error {
	v := s.view(s.matrix)
	text, err := encode(s.matrix)
	if err != nil {
		return err
	}
	page, err := v.page()
	if err != nil {
		return fmt.Errorf("make the page of the matrix: %w", err)
	}
	return report.WriteFiles(s.Dir, map[string][]byte{matrixFile: text, "mutation.md": []byte(v.markdown()), "mutation.html": page})
}
