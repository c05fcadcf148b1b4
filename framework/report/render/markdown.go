package render

import (
	"fmt"
	"strings"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

const summaryWaits = 5

// markdown is the summary of a run for the page of a CI job.
func markdown(doc report.Document) ([]byte, error) {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("## %s\n", doc.Verdict.Result)
	line("memcached on persistent memory, run `%s`, version `%s`, %s\n", doc.Run.ID, doc.Run.Version, seconds(doc.Run.Ended.Sub(doc.Run.Started)))
	line("| profile | verdict | specs | MUSTs in this mode |\n|---|---|---|---|")
	for _, v := range doc.Verdict.Profiles {
		line("| %s | %s | %s | %s |", v.Profile, v.Result, counts(v.Counts), v.Pairs)
	}
	if doc.Verdict.Scope != "" {
		line("\nScope: %s.", doc.Verdict.Scope)
	}
	for _, level := range []spec.Level{spec.Must, spec.Should} {
		all, covered := coverage(doc, level)
		line("\n%d of %d pairs of a %s and a mode are covered by specs.", covered, all, level)
	}
	if len(doc.Verdict.Reasons) > 0 {
		line("\n### Why\n")
		for _, r := range doc.Verdict.Reasons {
			line("- %s", escape(r))
		}
	}
	known := texts(doc)
	for _, s := range troubled(doc) {
		line("\n### %s %s: %s\n", s.ID, s.Outcome, escape(s.Title))
		if s.Known != "" {
			line("Known: <%s>\n", s.Known)
		}
		for _, f := range s.Failures {
			line("- **%s**", escape(f.Title()))
			if text := known[f.Requirement].Text; text != "" {
				line("  *%s*", escape(text))
			}
			if f.Expected != "" || f.Observed != "" {
				line("  expected %s, observed %s", code(f.Expected), code(f.Observed))
			}
		}
		for _, l := range s.Leaks {
			line("- left behind: %s", escape(l.String()))
		}
		if s.Again != "" {
			line("\nagain: %s", code(s.Again))
		}
	}
	if len(doc.Benchmarks) > 0 {
		line("\n### Benchmarks\n")
		for _, sentence := range doc.MemoryStatement() {
			line("%s\n", escape(sentence))
		}
		for _, b := range doc.Benchmarks {
			line("- **%s** (%s): %s", escape(b.Name), b.Profile, escape(figures(b)))
		}
	}
	if len(doc.Baseline) > 0 {
		line("\n### Against the baseline\n\n| benchmark | state | |\n|---|---|---|")
		for _, e := range doc.Baseline {
			line("| %s | %s | %s |", escape(e.Name()), e.State, escape(e.Against()))
		}
	}
	if len(doc.Facts) > 0 {
		line("\n<details><summary>Environment</summary>\n\n| | | |\n|---|---|---|")
		for _, f := range doc.Facts {
			line("| %s | %s | %s |", escape(f.Group), escape(f.Name), escape(f.Value))
		}
		line("\n</details>")
	}
	if specs := slowest(doc); len(specs) > 0 {
		line("\n<details><summary>The slowest specs</summary>\n\n| spec | took | waited | for |\n|---|---|---|---|")
		for _, s := range specs {
			line("| %s | %s | %s | %s |", s.ID, seconds(s.Took), seconds(s.Waited), escape(s.For))
		}
		line("\n</details>")
	}
	if shown, total := waits(doc, summaryWaits); total > 0 {
		line("\n<details><summary>The longest of %d waits</summary>\n\n| spec | awaited | took | limit |\n|---|---|---|---|", total)
		for _, w := range shown {
			line("| %s | %s | %s | %s |", w.Spec, escape(w.What), seconds(w.Took), seconds(w.Limit))
		}
		line("\n</details>")
	}
	return []byte(b.String()), nil
}

var escaper = strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", ">", "&gt;", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "]", "\\]", "\r", "", "\n", "<br>")

// escape makes text safe within a line and a table.
func escape(text string) string { return escaper.Replace(text) }

// code quotes text that itself may have backquotes.
func code(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 400 {
		text = text[:400] + "…"
	}
	if !strings.Contains(text, "`") {
		return "`" + text + "`"
	}
	fence := "``"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + " " + text + " " + fence
}
