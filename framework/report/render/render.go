// Package render writes a report in the forms that people and CI servers read.
package render

import (
	"fmt"
	"slices"
	"time"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// form is one way to write a report.
type form struct {
	name   string // of its file
	render func(report.Document) ([]byte, error)
	wanted func(report.Document) bool
}

func always(report.Document) bool { return true }

func ran(doc report.Document) bool { return measured(doc) || doc.Run.Work != nil }

func measured(doc report.Document) bool { return len(doc.Benchmarks) > 0 }

func forms() []form {
	return []form{
		{"index.html", page, always}, {"junit.xml", junitXML, always}, {"summary.md", summary, always},
		{"bench.txt", benchText, ran}, {"bench.json", benchJSON, measured},
	}
}

// Names are those of the files that there may be.
func Names() []string {
	var names []string
	for _, f := range forms() {
		names = append(names, f.name)
	}
	return names
}

// Files returns every form that doc has by the name of its file.
func Files(doc report.Document) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, f := range forms() {
		if !f.wanted(doc) {
			continue
		}
		data, err := f.render(doc)
		if err != nil {
			return nil, fmt.Errorf("render %s: %w", f.name, err)
		}
		files[f.name] = data
	}
	return files, nil
}

func seconds(d time.Duration) string {
	if d >= 10*time.Minute {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// waited is a wait with the spec that it belongs to.
type waited struct {
	Spec string
	Name string
	What string
	Last string
	Took time.Duration
	// Limit is after scaling.
	Limit time.Duration
	Done  bool
}

// waits lists those that did not reach what they waited for and then the
// longest, at most n of them, and how many there are.
func waits(doc report.Document, n int) (shown []waited, total int) {
	for _, w := range doc.Waits {
		shown = append(shown, waited{"", string(w.Name), w.What, w.Last, w.Took, w.Limit, w.Done})
	}
	for _, s := range doc.Specs {
		for _, w := range s.Waits {
			shown = append(shown, waited{s.ID, string(w.Name), w.What, w.Last, w.Took, w.Limit, w.Done})
		}
	}
	slices.SortStableFunc(shown, func(a, b waited) int {
		if a.Done != b.Done {
			if b.Done {
				return -1
			}
			return 1
		}
		return int(b.Took - a.Took)
	})
	return shown[:min(n, len(shown))], len(shown)
}

// remarkable are the specs that a reader has to look at, the worst first.
func remarkable(doc report.Document) []report.SpecResult {
	var found []report.SpecResult
	for _, s := range doc.Specs {
		switch s.Outcome {
		case spec.Failed, spec.Undetermined, spec.Leaked:
			found = append(found, s)
		}
	}
	slices.SortStableFunc(found, func(a, b report.SpecResult) int { return a.Outcome.Compare(b.Outcome) })
	return found
}

func texts(doc report.Document) map[spec.ReqID]report.RequirementResult {
	m := map[spec.ReqID]report.RequirementResult{}
	for _, r := range doc.Requirements {
		m[r.ID] = r
	}
	return m
}

// coverage counts requirements of a level in the modes in which they hold: all,
// covered by a spec in that mode.
func coverage(doc report.Document, level spec.Level) (all, covered int) {
	for _, r := range doc.Requirements {
		if r.Level != level {
			continue
		}
		for _, m := range r.Modes {
			all++
			if len(m.Specs) > 0 {
				covered++
			}
		}
	}
	return all, covered
}
