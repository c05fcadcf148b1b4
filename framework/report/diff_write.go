package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"pmem-memcached-e2e/framework/markdown"
	"pmem-memcached-e2e/framework/oneline"
)

// Text writes the differences for a terminal; the last line says whether the
// second report is worse.
func (d Diff) Text(w io.Writer) error {
	var b strings.Builder
	for i, run := range []Run{d.Old, d.New} {
		fmt.Fprintf(&b, "%-8s %s  %s\n", []string{"old", "new"}[i], run.ID, d.Verdicts[i])
	}
	for _, s := range d.Sections {
		fmt.Fprintf(&b, "\n%s (%d)\n", s.Title, len(s.Changes))
		width := 0
		for _, c := range s.Changes {
			width = max(width, utf8.RuneCountInString(c.What))
		}
		for _, c := range s.Changes {
			line := fmt.Sprintf("  %-*s  %s", width, c.What, c.values())
			if c.Note != "" {
				line += "  (" + oneline.Of(c.Note) + ")"
			}
			fmt.Fprintln(&b, line)
		}
	}
	fmt.Fprintf(&b, "\nresult   %s\n", d.result())
	_, err := io.WriteString(w, b.String())
	return err
}

func (d Diff) result() string {
	switch {
	case d.Worse():
		return "worse"
	case len(d.Sections) == 0 && d.Verdicts[0] == d.Verdicts[1]:
		return "no difference"
	}
	return "no worse"
}

func (c Change) values() string {
	switch {
	case c.Old == "":
		return c.New
	case c.New == "":
		return "was " + c.Old
	}
	return c.Old + " → " + c.New
}

// Markdown writes the differences for the page of a CI job.
func (d Diff) Markdown(w io.Writer) error {
	var b strings.Builder
	runs := markdown.Table{Head: []string{"", "run", "version", "verdict"}}
	for i, run := range []Run{d.Old, d.New} {
		runs.Rows = append(runs.Rows, markdown.Texts([]string{"old", "new"}[i], run.ID, run.Version, string(d.Verdicts[i])))
	}
	fmt.Fprintf(&b, "## Compared with %s: %s\n\n%s", markdown.Text(d.Old.ID), d.result(), runs)
	for _, s := range d.Sections {
		changes := markdown.Table{Head: []string{"", "old", "new", ""}}
		for _, c := range s.Changes {
			changes.Rows = append(changes.Rows, markdown.Texts(c.What, c.Old, c.New, c.Note))
		}
		fmt.Fprintf(&b, "\n### %s (%d)\n\n%s", strings.ToUpper(s.Title[:1])+s.Title[1:], len(s.Changes), changes)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
