package render

import (
	"fmt"
	"strings"

	"pmem-memcached-e2e/framework/markdown"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

const summaryWaits = 5

// folded is a table below a title that unfolds it.
const folded = "\n<details><summary>%s</summary>\n\n%s\n</details>"

// summary is the summary of a run for the page of a CI job.
func summary(doc report.Document) ([]byte, error) {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("## %s\n", doc.Verdict.Result)
	line("memcached on persistent memory, run `%s`, version `%s`, %s\n", doc.Run.ID, doc.Run.Version, seconds(doc.Run.Ended.Sub(doc.Run.Started)))
	verdicts := markdown.Table{Head: []string{"profile", "verdict", "specs", "MUSTs in this mode"}}
	for _, v := range doc.Verdict.Profiles {
		verdicts.Rows = append(verdicts.Rows, markdown.Texts(string(v.Profile), string(v.Result), spec.Counts(v.Counts), v.Pairs.String()))
	}
	b.WriteString(verdicts.String())
	if doc.Verdict.Scope != "" {
		line("\nScope: %s.", doc.Verdict.Scope)
	}
	for _, level := range []spec.Level{spec.Must, spec.Should} {
		all, covered := coverage(doc, level)
		line("\n%d of %d pairs of a %s and a mode are covered by specs.", covered, all, level)
	}
	if doc.Mutation != nil {
		line("\nThe specs themselves are tested on deployments with one fault each: on record are %s.", doc.Mutation)
	}
	if len(doc.Verdict.Reasons) > 0 {
		line("\n### Why\n")
		for _, r := range doc.Verdict.Reasons {
			line("- %s", markdown.Text(r))
		}
	}
	known := texts(doc)
	for _, s := range remarkable(doc) {
		line("\n### %s %s: %s\n", s.ID, s.Outcome, markdown.Text(s.Title))
		if s.Known != "" {
			line("Known: <%s>\n", s.Known)
		}
		for _, f := range s.Failures {
			line("- **%s**", markdown.Text(f.Title()))
			if text := known[f.Requirement].Text; text != "" {
				line("  *%s*", markdown.Text(text))
			}
			if f.Expected != "" || f.Observed != "" {
				line("  expected %s, observed %s", markdown.Code(f.Expected), markdown.Code(f.Observed))
			}
		}
		for _, l := range s.Leaks {
			line("- left behind: %s", markdown.Text(l.String()))
		}
		if s.Again != "" {
			line("\nagain: %s", markdown.Code(s.Again))
		}
	}
	if len(doc.Benchmarks) > 0 {
		line("\n### Benchmarks\n")
		for _, sentence := range doc.MemoryStatement() {
			line("%s\n", markdown.Text(sentence))
		}
		for _, b := range doc.Benchmarks {
			line("- **%s** (%s): %s", markdown.Text(b.Name), b.Profile, markdown.Text(figures(b)))
		}
	}
	if len(doc.Baseline) > 0 {
		entries := markdown.Table{Head: []string{"benchmark", "state", ""}}
		for _, e := range doc.Baseline {
			entries.Rows = append(entries.Rows, markdown.Texts(e.Name(), string(e.State), e.Against()))
		}
		line("\n### Against the baseline\n\n%s", entries)
	}
	if len(doc.Facts) > 0 {
		facts := markdown.Table{Head: []string{"", "", ""}}
		for _, f := range doc.Facts {
			facts.Rows = append(facts.Rows, markdown.Texts(f.Group, f.Name, f.Value))
		}
		line(folded, "Environment", facts)
	}
	if notes := notedTables(doc); notes != "" {
		line(folded, "What specs have measured", notes)
	}
	if specs := slowest(doc); len(specs) > 0 {
		table := markdown.Table{Head: []string{"spec", "took", "waited", "for"}}
		for _, s := range specs {
			table.Rows = append(table.Rows, markdown.Texts(s.ID, seconds(s.Took), seconds(s.Waited), s.For))
		}
		line(folded, "The slowest specs", table)
	}
	if shown, total := waits(doc, summaryWaits); total > 0 {
		table := markdown.Table{Head: []string{"spec", "awaited", "took", "limit"}}
		for _, w := range shown {
			table.Rows = append(table.Rows, markdown.Texts(w.Spec, w.What, seconds(w.Took), seconds(w.Limit)))
		}
		line(folded, fmt.Sprintf("The longest of %d waits", total), table)
	}
	return []byte(b.String()), nil
}

// notedTables are the tables of notes, each below a line that names spec and note.
func notedTables(doc report.Document) string {
	var b strings.Builder
	for _, s := range doc.Specs {
		for _, n := range s.Notes {
			if n.Table == nil {
				continue
			}
			table := markdown.Table{Head: n.Table.Head}
			for _, row := range n.Table.Rows {
				table.Rows = append(table.Rows, markdown.Texts(row...))
			}
			fmt.Fprintf(&b, "**%s** %s: %s\n\n%s\n", markdown.Text(s.ID), markdown.Text(n.Name), markdown.Text(oneline.First(n.Text)), table)
		}
	}
	return strings.TrimSpace(b.String())
}
