package mutation

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/spec"
)

// Declared is what there is to run.
type Declared struct {
	Manifests fs.FS
	Checkout  string // the directory from which overlays are
	Catalogue spec.Catalogue
	Mutants   []mutant.Mutant // all
	Exempt    []mutant.Exemption
}

// identity is what a result is about.
type identity struct {
	key       string // digest of what the mutant changes, and of what is declared about it
	manifests string // digest of what the manifests of its mode render, without the change
}

// identities are those of all mutants by name. A result counts as long as the key stays the same; it may have been seen on
// earlier manifests.
func (d Declared) identities() (map[string]identity, error) {
	temp, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	if err := os.CopyFS(temp, d.Manifests); err != nil {
		return nil, fmt.Errorf("copy the manifests: %w", err)
	}
	manifests := map[spec.Profile]string{}
	for mode, dir := range deployments(temp) {
		objects, err := rendered(dir)
		if err != nil {
			return nil, fmt.Errorf("render the manifests: %w", err)
		}
		manifests[mode] = digest(string(objects))
	}
	manifests[spec.Driver] = digest(manifests[spec.Ephemeral], manifests[spec.Persistent])
	ids := map[string]identity{}
	for _, m := range d.Mutants {
		parts := []string{m.Edit.File, m.Edit.Was, m.Edit.Is, fmt.Sprint(m.Mode, m.Driver, m.By)}
		for _, r := range m.Rejections {
			parts = append(parts, fmt.Sprint(r.By, r.Violates)) // the words may be put better
		}
		if m.Overlay != "" {
			files, err := contents(filepath.Join(d.Checkout, m.Overlay))
			if err != nil {
				return nil, err
			}
			parts = append(parts, files...)
		}
		ids[m.Name] = identity{digest(parts...), manifests[m.Mode]}
	}
	return ids, nil
}

// contents are the names and texts of the files in a directory.
func contents(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read an overlay: %w", err)
	}
	var parts []string
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read an overlay: %w", err)
		}
		parts = append(parts, e.Name(), string(text))
	}
	return parts, nil
}

func digest(parts ...string) string {
	text, _ := json.Marshal(parts) // keeps the parts apart, and strings have no errors
	return fmt.Sprintf("%x", sha256.Sum256(text))[:16]
}

func deployments(dir string) map[spec.Profile]string {
	return map[spec.Profile]string{spec.Ephemeral: filepath.Join(dir, string(spec.Ephemeral)), spec.Persistent: filepath.Join(dir, string(spec.Persistent))}
}

func rendered(dir string) ([]byte, error) {
	m, err := deploy.Load(dir, deploy.Changes{})
	if err != nil {
		return nil, err
	}
	return json.Marshal(m.Objects)
}

// count is how many mutants have to be killed, and how many are equivalent.
func (d Declared) count() (killed, equivalents int) {
	for _, m := range d.Mutants {
		if m.Equivalent == "" {
			killed++
		} else {
			equivalents++
		}
	}
	return killed, equivalents
}

// alone reports whether nothing else may run on the cluster while specs run on a mutant.
func (d Declared) alone(m mutant.Mutant) bool {
	return m.Driver != "" || slices.ContainsFunc(d.Catalogue.Specs, func(s spec.Spec) bool {
		return s.RunsAlone() && slices.Contains(m.Specs(), s.ID)
	})
}

// Order has those first that say most about what is not known yet: one mutant for each requirement in a mode that no
// recorded mutant proves, then the equivalents, then the others without a recorded result on the manifests as they are, and at last those with one.
// Among these, those come first whose specs may take the shortest time.
func (d Declared) Order(recorded Matrix) []mutant.Mutant {
	proved := map[string]bool{}
	for _, r := range recorded.Results {
		for _, k := range r.By {
			proved[pair(r.Mode, k.Requirement)] = proved[pair(r.Mode, k.Requirement)] || k.Named && r.State == Killed
		}
	}
	order := slices.Clone(d.Mutants)
	slices.SortStableFunc(order, func(a, b mutant.Mutant) int { return cmp.Compare(d.budget(a), d.budget(b)) })
	rank := map[string]int{}
	for _, m := range order {
		known, found := recorded.find(m.Name)
		switch {
		case found && !known.Earlier:
			rank[m.Name] = 3
		case m.Equivalent != "":
			rank[m.Name] = 1
		default:
			rank[m.Name] = 2
			for _, req := range m.Violates() {
				if !proved[pair(m.Mode, req)] {
					proved[pair(m.Mode, req)], rank[m.Name] = true, 0
				}
			}
		}
	}
	slices.SortStableFunc(order, func(a, b mutant.Mutant) int { return rank[a.Name] - rank[b.Name] })
	return order
}

// budget is the longest that the specs of a mutant may take.
func (d Declared) budget(m mutant.Mutant) time.Duration {
	var sum time.Duration
	for _, s := range d.Catalogue.Specs {
		if slices.Contains(m.Specs(), s.ID) {
			sum += s.Budget
		}
	}
	return sum
}

func pair(mode spec.Profile, req spec.ReqID) string { return string(req) + " " + string(mode) }
