package mutation

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/markdown"
)

// markdown has the score, what is to be mended, and the kills by requirement and by mutant.
func (v view) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Mutants\n\n%s.\n", markdown.Text(v.Score()))
	if seen := v.versions(); len(seen.Rows) > 0 {
		b.WriteString("\nA result counts as long as the mutant and what is declared about it stay the same, whatever version of the specs has seen it. ")
		if n := v.earlier(); n > 0 {
			fmt.Fprintf(&b, "%d of the %d were seen on earlier manifests.", n, len(v.Results))
		} else {
			b.WriteString("All were seen on the manifests as they are.")
		}
		b.WriteString("\n\n" + seen.String())
	}
	if bad := v.bad(); len(bad) > 0 {
		b.WriteString("\n## To be mended\n\n")
		b.WriteString(results(bad))
	}
	b.WriteString("\n## By requirement\n\nA requirement in a mode, the mutants that violate it, how many of them were killed by a check that names it, and the specs that have done so.\n\n")
	table := markdown.Table{Head: []string{"requirement", "mode", "killed", "of", "proved by", "mutants"}}
	for _, r := range v.run() {
		var names []string
		for _, x := range r.Results {
			names = append(names, markdown.Code(x.Mutant))
		}
		table.Rows = append(table.Rows, []string{string(r.Requirement), string(r.Profile), fmt.Sprint(r.Killed()), fmt.Sprint(len(r.Results)),
			strings.Join(r.Proved, ", "), strings.Join(names, " ")})
	}
	b.WriteString(table.String())
	list := func(title string, items []string) {
		if len(items) > 0 {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", title, strings.Join(items, ", "))
		}
	}
	none, waiting := v.unviolated()
	list("Equivalents that are rejected together, and accepted one by one", coded(v.pairs()))
	if exempt := v.exemptions(); len(exempt) > 0 {
		b.WriteString("\n## Requirements that no mutant can violate\n\n")
		table := markdown.Table{Head: []string{"requirements", "why"}}
		for _, e := range exempt {
			table.Rows = append(table.Rows, []string{strings.Join(e.Pairs, ", "), markdown.Text(e.Because)})
		}
		b.WriteString(table.String())
	}
	list("Requirements that no mutant violates yet", none)
	list("Requirements whose mutants have not run", waiting)
	without, blunt := v.idle()
	list("Specs that no mutant is for", without)
	list("Specs that ran on mutants and killed none", blunt)
	if len(v.Results) > 0 {
		b.WriteString("\n## By mutant\n\n" + results(v.Results))
	}
	return b.String()
}

// versions are those of the program that have seen the results, and how many each.
func (m Matrix) versions() markdown.Table {
	table := markdown.Table{Head: []string{"version", "mutants", "equivalents", "of these in batches"}}
	counts := map[string]*[3]int{}
	for _, r := range m.Results {
		if r.Version == "" {
			continue
		}
		c := counts[r.Version]
		if c == nil {
			c = &[3]int{}
			counts[r.Version] = c
		}
		switch {
		case r.Equivalent == "":
			c[0]++
		case r.Batch != "":
			c[2]++
			fallthrough
		default:
			c[1]++
		}
	}
	for _, version := range slices.Sorted(maps.Keys(counts)) {
		c := counts[version]
		table.Rows = append(table.Rows, []string{markdown.Text(version), fmt.Sprint(c[0]), fmt.Sprint(c[1]), fmt.Sprint(c[2])})
	}
	return table
}

func coded(words []string) []string {
	var list []string
	for _, w := range words {
		list = append(list, markdown.Code(w))
	}
	return list
}

// bad are the results that are no proof, the weightiest first.
func (m Matrix) bad() []Result {
	var bad []Result
	for _, s := range States() {
		for _, r := range m.Results {
			if r.State == s && !s.Good() {
				bad = append(bad, r)
			}
		}
	}
	return bad
}

func results(list []Result) string {
	table := markdown.Table{Head: []string{"mutant", "what is changed", "violates", "result", "checks", "named", "seconds", "reason"}}
	for _, r := range list {
		table.Rows = append(table.Rows, []string{markdown.Code(r.Mutant), markdown.Code(r.Changed), markdown.Text(r.About()), string(r.State),
			fmt.Sprint(r.Checks), fmt.Sprint(r.Named()), fmt.Sprintf("%.0f", r.Seconds), markdown.Text(r.Reason)})
	}
	return table.String()
}

// About is what the mutant violates, or why nothing.
func (r Result) About() string {
	if r.Equivalent != "" {
		return "nothing: " + r.Equivalent
	}
	return joined(r.Violates)
}

// Named is how many of the checks that failed name what the mutant violates.
func (r Result) Named() int {
	return len(slices.DeleteFunc(slices.Clone(r.By), func(k Kill) bool { return !k.Named }))
}
