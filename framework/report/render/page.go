package render

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/report/render/chart"
	"pmem-memcached-e2e/framework/spec"
)

//go:embed page.html.tmpl
var pageText string

const pageWaits = 25

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"seconds": seconds,
	"counts":  spec.Counts,
	"legend":  legend,
	"when":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"class":   class,
	"symbol":  symbol,
	"percent": func(part, whole time.Duration) string {
		if whole <= 0 {
			return "0"
		}
		return fmt.Sprintf("%.1f", math.Min(100, 100*float64(part)/float64(whole)))
	},
	"seen": func(met *bool) string {
		switch {
		case met == nil:
			return "not known"
		case *met:
			return "yes"
		}
		return "no: remove the entry"
	},
	"killed":   killed,
	"mark":     mark,
	"join":     func(list []string) string { return strings.Join(list, ", ") },
	"programs": programs,
	"shown":    shown,
	"measures": func(run report.Run) bool { return run.Purpose == report.Measuring },
}).Parse(pageText + benchmarksText))

// outcome is that which v is, or is shown as.
func outcome(v any) spec.Outcome {
	switch v := v.(type) {
	case spec.Outcome:
		return v
	case interface{ Shown() spec.Outcome }:
		return v.Shown()
	}
	return ""
}

// class is the style of an outcome, or of what is shown as one.
func class(v any) string {
	if v == report.SelectionPassed || v == report.SelectionKnown {
		return "part"
	}
	switch outcome(v) {
	case spec.Passed:
		return "good"
	case spec.Failed:
		return "bad"
	case spec.Undetermined, spec.Leaked, spec.NotRun:
		return "doubt"
	}
	return "none"
}

// symbol is "·" where there is no outcome.
func symbol(v any) string {
	if o := outcome(v); o != "" {
		return o.Symbol()
	}
	return "·"
}

// legend explains the symbols of outcomes.
func legend() string {
	var parts []string
	for _, o := range spec.Outcomes() {
		if o != spec.Leaked { // such a spec meets its requirements
			parts = append(parts, o.Symbol()+" "+string(o))
		}
	}
	return strings.Join(parts, ", ")
}

// chapter is a row of the matrix.
type chapter struct {
	Name         string
	Must, Should cell
	Requirements []report.RequirementResult
}

// cell counts the requirements of a chapter and level, in the modes in which they
// hold, by what the run says.
type cell struct{ All, Passed, Failed, Open, Uncovered int }

func (c *cell) add(r report.RequirementResult) {
	for _, m := range r.Modes {
		c.All++
		switch {
		case len(m.Specs) == 0:
			c.Uncovered++
		case m.Outcome == spec.Passed:
			c.Passed++
		case m.Outcome == spec.Failed:
			c.Failed++
		default:
			c.Open++
		}
	}
}

// mark has a symbol for each mode of a requirement.
func mark(r report.RequirementResult) string {
	var b strings.Builder
	for _, m := range r.Modes {
		b.WriteString(symbol(m.Outcome))
	}
	return b.String()
}

func chapters(doc report.Document) []chapter {
	var list []chapter
	for _, r := range doc.Requirements {
		if len(list) == 0 || list[len(list)-1].Name != r.Chapter {
			list = append(list, chapter{Name: r.Chapter})
		}
		c := &list[len(list)-1]
		c.Requirements = append(c.Requirements, r)
		switch r.Level {
		case spec.Must:
			c.Must.add(r)
		case spec.Should:
			c.Should.add(r)
		}
	}
	return list
}

type factGroup struct {
	Name  string
	Facts []report.Fact
}

func factGroups(doc report.Document) []factGroup {
	var groups []factGroup
	index := map[string]int{}
	for _, f := range doc.Facts {
		i, ok := index[f.Group]
		if !ok {
			i = len(groups)
			index[f.Group] = i
			groups = append(groups, factGroup{Name: f.Group})
		}
		groups[i].Facts = append(groups[i].Facts, f)
	}
	return groups
}

func page(doc report.Document) ([]byte, error) {
	benchmarks, err := benchmarks(doc)
	if err != nil {
		return nil, err
	}
	drawn, err := chart.Timeline(doc.Run, doc.Specs)
	if err != nil {
		return nil, err
	}
	var timeline *figure
	if drawn != nil {
		f := figureOf(drawn)
		timeline = &f
	}
	shown, total := waits(doc, pageWaits)
	var longest time.Duration
	for _, w := range shown {
		longest = max(longest, w.Limit)
	}
	musts, mustsCovered := coverage(doc, spec.Must)
	shoulds, shouldsCovered := coverage(doc, spec.Should)
	var b bytes.Buffer
	err = pageTemplate.Execute(&b, map[string]any{
		"Doc": doc, "Took": doc.Run.Ended.Sub(doc.Run.Started), "Chapters": chapters(doc), "Remarkable": remarkable(doc),
		"Texts": texts(doc), "Groups": factGroups(doc), "Waits": shown, "WaitsTotal": total, "Longest": longest, "Slowest": slowest(doc),
		"Timeline": timeline, "Benchmarks": benchmarks, "Musts": musts, "MustsCovered": mustsCovered, "Shoulds": shoulds, "ShouldsCovered": shouldsCovered,
	})
	return b.Bytes(), err
}

// killed is what mutants say about a requirement in a mode, empty if no spec examines it.
func killed(proof spec.Proof, id spec.ReqID, mode spec.Profile) string {
	if pair, found := proof.Of(id, mode); found {
		return string(mode) + ": " + pair.String()
	}
	return ""
}

// programs are the processor times of some programs.
func programs(used map[string]time.Duration) string {
	var list []string
	for _, program := range slices.Sorted(maps.Keys(used)) {
		list = append(list, program+" "+seconds(used[program]))
	}
	return strings.Join(list, ", ")
}
