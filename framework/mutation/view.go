package mutation

import (
	"fmt"
	"slices"

	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/spec"
)

// view is a matrix for readers.
type view struct {
	Matrix
	catalogue spec.Catalogue
	mutants   []mutant.Mutant // all that are declared
	exempt    []mutant.Exemption
}

func (d Declared) view(m Matrix) view { return view{m, d.Catalogue, d.Mutants, d.Exempt} }

// Row is what the mutants say about a requirement in one mode.
type Row struct {
	spec.Pair
	Declared int      // mutants that violate it
	Results  []Result // of those that have run
	Proved   []string // specs that named it on a mutant that was killed
}

// Killed is how many of them were, by a check that names the requirement.
func (r Row) Killed() int {
	n := 0
	for _, x := range r.Results {
		if x.State == Killed && slices.ContainsFunc(x.By, func(k Kill) bool { return k.Requirement == r.Requirement }) {
			n++
		}
	}
	return n
}

// exempt reports whether it is the row that an exemption is about.
func (r Row) exempt(e mutant.Exemption) bool {
	return e.Requirement == r.Requirement && e.Profile == r.Profile
}

// rows are those of all pairs that specs examine.
func (v view) rows() []Row {
	var rows []Row
	for _, p := range v.catalogue.Pairs() {
		if len(p.Specs) == 0 {
			continue
		}
		row := Row{Pair: p}
		for _, m := range v.mutants {
			if m.Mode == p.Profile && slices.Contains(m.Violates(), p.Requirement) {
				row.Declared++
			}
		}
		for _, r := range v.Results {
			if r.Mode != p.Profile || !slices.Contains(r.Violates, p.Requirement) {
				continue
			}
			row.Results = append(row.Results, r)
			for _, k := range r.By {
				if k.Requirement == p.Requirement && r.State == Killed && !slices.Contains(row.Proved, k.Spec) {
					row.Proved = append(row.Proved, k.Spec)
				}
			}
		}
		slices.Sort(row.Proved)
		rows = append(rows, row)
	}
	return rows
}

// run are the rows with mutants that have run.
func (v view) run() []Row {
	return slices.DeleteFunc(v.rows(), func(r Row) bool { return len(r.Results) == 0 })
}

// unviolated are the pairs that no mutant violates and that are not exempt, and waiting those whose mutants have not run.
func (v view) unviolated() (none, waiting []string) {
	for _, r := range v.rows() {
		switch name := fmt.Sprintf("%s %s", r.Requirement, r.Profile); {
		case slices.ContainsFunc(v.exempt, r.exempt):
		case r.Declared == 0:
			none = append(none, name)
		case len(r.Results) == 0:
			waiting = append(waiting, name)
		}
	}
	return none, waiting
}

// exemptions are the pairs that no mutant can violate, by the reason.
func (v view) exemptions() []exemption {
	var list []exemption
	for _, e := range v.exempt {
		i := slices.IndexFunc(list, func(l exemption) bool { return l.Because == e.Because })
		if i < 0 {
			i = len(list)
			list = append(list, exemption{Because: e.Because})
		}
		list[i].Pairs = append(list[i].Pairs, fmt.Sprintf("%s %s", e.Requirement, e.Profile))
	}
	return list
}

type exemption struct {
	Pairs   []string
	Because string
}

// pairs are equivalents that specs reject together though they accept each.
func (m Matrix) pairs() []string {
	var pairs []string
	for _, r := range m.Results {
		for _, other := range r.Together {
			if r.Mutant < other {
				pairs = append(pairs, r.Mutant+" + "+other)
			}
		}
	}
	return pairs
}

// idle are specs: those that no mutant is for, and those that ran on mutants and killed none.
func (v view) idle() (without, blunt []string) {
	declared, ran, killed := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, m := range v.mutants {
		for _, r := range m.Rejections {
			for _, id := range r.By {
				declared[id] = true
			}
		}
	}
	for _, r := range v.Results {
		if r.Equivalent != "" {
			continue
		}
		for _, id := range r.Specs {
			ran[id] = true
		}
		for _, k := range r.By {
			killed[k.Spec] = killed[k.Spec] || r.State == Killed
		}
	}
	for _, s := range v.catalogue.Specs {
		switch {
		case s.Measures():
		case !declared[s.ID]:
			without = append(without, s.ID)
		case ran[s.ID] && !killed[s.ID]:
			blunt = append(blunt, s.ID)
		}
	}
	return without, blunt
}

// Proof is what the results of a matrix say about the specs, without those of mutants that have changed since.
func (d Declared) Proof(m Matrix) (spec.Proof, error) {
	m, err := d.Current(m)
	p := spec.Proof{Killed: m.Count(Killed), Accepted: m.Count(Accepted), Earlier: m.earlier()}
	p.Mutants, p.Equivalents = d.count()
	for _, r := range d.view(m).rows() {
		pair := spec.PairProof{Requirement: r.Requirement, Profile: r.Profile, Killed: r.Killed(), Mutants: r.Declared, Specs: r.Proved}
		if i := slices.IndexFunc(d.Exempt, r.exempt); i >= 0 {
			pair.Exempt = d.Exempt[i].Because
		}
		p.Pairs = append(p.Pairs, pair)
	}
	return p, err
}
