package matrix

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"pmem-memcached-e2e/framework/markdown"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/spec"
)

// columns are those of the table, which is the same in both forms.
var columns = []struct {
	name string
	of   func(Row) string
}{
	{"Kubernetes", func(r Row) string { return cmp.Or(r.Found["kubernetes"], r.Kubernetes) }},
	{"memcached", func(r Row) string { return cmp.Or(r.Found["version"], r.Memcached) }},
	{"kernel", func(r Row) string { return cmp.Or(r.Found["kernel"], r.Kernel) }},
	{"filesystem", func(r Row) string { return r.Filesystem }},
	{"driver", func(r Row) string { return r.Driver }},
	{"verdict", func(r Row) string { return r.Result }},
	{"failed", func(r Row) string { return r.count(spec.Failed) }},
	{"others", func(r Row) string { return r.others() }},
	{"passed", func(r Row) string { return r.count(spec.Passed) }},
	{"not applicable", func(r Row) string { return r.count(spec.NotApplicable) }},
	{"exit", func(r Row) string {
		if r.Exit == exitNotRun {
			return ""
		}
		return fmt.Sprint(r.Exit)
	}},
	{"time", func(r Row) string {
		if r.Took == 0 {
			return ""
		}
		return r.Took.Round(time.Second).String()
	}},
	{"report", func(r Row) string {
		if r.Exit == exitNotRun {
			return ""
		}
		return r.Report
	}},
}

func (r Row) count(o spec.Outcome) string {
	if r.Counts == nil {
		return ""
	}
	return fmt.Sprint(r.Counts[o])
}

// others are all specs that no other column counts.
func (r Row) others() string {
	if r.Counts == nil {
		return ""
	}
	n := 0
	for o, count := range r.Counts {
		if o != spec.Passed && o != spec.Failed && o != spec.NotApplicable {
			n += count
		}
	}
	return fmt.Sprint(n)
}

// Text writes the table for a terminal.
func Text(w io.Writer, rows []Row) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for i, c := range columns {
		if i > 0 {
			fmt.Fprint(table, "\t")
		}
		fmt.Fprint(table, strings.ToUpper(c.name))
	}
	fmt.Fprintln(table)
	for _, r := range rows {
		for i, c := range columns {
			if i > 0 {
				fmt.Fprint(table, "\t")
			}
			fmt.Fprint(table, cmp.Or(c.of(r), "-"))
		}
		fmt.Fprintln(table)
	}
	err := table.Flush()
	for _, r := range rows {
		if r.Err != "" {
			_, noteErr := fmt.Fprintf(w, "%s: %s\n", r.Report, oneline.Words(r.Err))
			err = errors.Join(err, noteErr)
		}
	}
	return err
}

// Markdown writes the table with links to the reports.
func Markdown(w io.Writer, rows []Row) error {
	var table markdown.Table
	for _, c := range columns {
		table.Head = append(table.Head, c.name)
	}
	var notes strings.Builder
	for _, r := range rows {
		var cells []string
		for _, c := range columns {
			cell := markdown.Text(c.of(r))
			if c.name == "report" && cell != "" {
				cell = fmt.Sprintf("[%s](%s/index.html)", cell, c.of(r))
			}
			cells = append(cells, cell)
		}
		table.Rows = append(table.Rows, cells)
		if r.Err != "" {
			fmt.Fprintf(&notes, "\n%s: %s\n", markdown.Text(r.Report), markdown.Text(r.Err))
		}
	}
	_, err := io.WriteString(w, table.String()+notes.String())
	return err
}

// writeTable writes both forms to dir, each all or nothing.
func writeTable(dir string, rows []Row) error {
	for name, write := range map[string]func(io.Writer, []Row) error{tableFile + ".txt": Text, tableFile + ".md": Markdown} {
		var b strings.Builder
		if err := write(&b, rows); err != nil {
			return err
		}
		path := filepath.Join(dir, name)
		err := os.WriteFile(path+".new", []byte(b.String()), 0o644)
		if err == nil {
			err = os.Rename(path+".new", path)
		}
		if err != nil {
			return fmt.Errorf("write the table: %w", err)
		}
	}
	return nil
}
