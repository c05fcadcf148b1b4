package mutant

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/strictyaml"
)

// declaration is what the file of declarations says about some edits.
type declaration struct {
	Violates   []spec.ReqID `yaml:"violates,omitempty"`
	Equivalent string       `yaml:"equivalent,omitempty"`
	Refused    string       `yaml:"refused,omitempty"`
	By         []string     `yaml:"by,omitempty"`
	With       string       `yaml:"with,omitempty"`
	Edits      []string     `yaml:"edits"`
}

// Declared makes mutants of the edits of the manifests that a file declares. Every edit has to be declared:
// those of a manifest in its mode, those of the scripts in one mode or more, which is that of the specs. An
// edit that is said to be refused is no mutant. One that violates several requirements, each in the eyes of other specs,
// may be declared several times.
func Declared(name string, file []byte, manifests fs.FS, c spec.Catalogue) ([]Mutant, error) {
	edits := map[spec.Profile]map[string]Edit{}
	missing := map[string]bool{} // of both modes
	for _, mode := range []spec.Profile{spec.Ephemeral, spec.Persistent} {
		all, err := Edits(manifests, mode)
		if err != nil {
			return nil, err
		}
		edits[mode] = map[string]Edit{}
		for _, e := range all {
			edits[mode][e.Name] = e
			missing[e.key(mode)] = true
		}
	}
	var mutants []Mutant
	var errs []error
	err := strictyaml.ReadList(name, file, func(d declaration, at map[string]int, line int) []error {
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s:%d: %s", name, line, fmt.Sprintf(format, args...)))
		}
		modes := modesOf(d.By, c)
		if d.Refused != "" {
			modes = []spec.Profile{spec.Ephemeral, spec.Persistent}
		}
		for _, edit := range d.Edits {
			found := false
			for _, mode := range modes {
				e, ok := edits[mode][edit]
				if !ok {
					continue
				}
				found = true
				delete(missing, e.key(mode))
				if d.Refused != "" {
					continue
				}
				if err := add(&mutants, d.mutant(e, mode, c)); err != nil {
					bad("edits has %q, %v", edit, err)
				}
			}
			if !found {
				bad("edits has %q, which no rule makes for the modes of by, %v", edit, modes)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(missing)) {
		errs = append(errs, fmt.Errorf("%s: the edit %s is not declared; add it to one that violates a requirement, or that is equivalent or refused", name, key))
	}
	for _, m := range mutants {
		errs = append(errs, m.Validate(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return mutants, nil
}

func (e Edit) inManifest() bool { return e.File != initScript && e.File != wrapperScript }

// key distinguishes edits of the manifests of both modes, and not those of the scripts, which are the same.
func (e Edit) key(mode spec.Profile) string {
	if e.inManifest() {
		return fmt.Sprintf("%s of mode %s", e.Name, mode)
	}
	return e.Name
}

// modesOf are the modes of some specs.
func modesOf(by []string, c spec.Catalogue) []spec.Profile {
	var modes []spec.Profile
	for _, s := range c.Specs {
		if slices.Contains(by, s.ID) && !slices.Contains(modes, s.Profile) {
			modes = append(modes, s.Profile)
		}
	}
	return modes
}

func (d declaration) mutant(e Edit, mode spec.Profile, c spec.Catalogue) Mutant {
	return Mutant{Name: fmt.Sprintf("%s-%s", mode, e.Name), Mode: mode, Edit: e, Equivalent: d.Equivalent}.judged(inMode(d.By, mode, c), d.Violates, d.With)
}

// inMode leaves out specs of other modes, and keeps ids that are no spec's.
func inMode(by []string, mode spec.Profile, c spec.Catalogue) []string {
	return slices.DeleteFunc(slices.Clone(by), func(id string) bool {
		return slices.ContainsFunc(c.Specs, func(s spec.Spec) bool { return s.ID == id && s.Profile != mode })
	})
}

// add takes m into mutants. If it is there, the rejections of other specs are added to it.
func add(mutants *[]Mutant, m Mutant) error {
	i := slices.IndexFunc(*mutants, func(o Mutant) bool { return o.Name == m.Name })
	if i < 0 {
		*mutants = append(*mutants, m)
		return nil
	}
	there := &(*mutants)[i]
	if len(there.Rejections) == 0 || len(m.Rejections) == 0 || slices.ContainsFunc(m.Specs(), func(id string) bool { return slices.Contains(there.Specs(), id) }) {
		return fmt.Errorf("which is declared already for mode %s; keep one, or name other specs for other requirements", m.Mode)
	}
	there.Rejections = append(there.Rejections, m.Rejections...)
	return nil
}

// judged returns m with the specs that have to reject it, or to accept it if it violates nothing.
func (m Mutant) judged(by []string, violates []spec.ReqID, with string) Mutant {
	if len(violates) == 0 {
		m.By = by
	} else {
		m.Rejections = []Rejection{{By: by, Violates: violates, With: with}}
	}
	return m
}
