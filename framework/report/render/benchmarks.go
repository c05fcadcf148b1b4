package render

import (
	_ "embed"
	"fmt"
	"html/template"
	"strings"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/report/render/chart"
)

//go:embed benchmarks.html.tmpl
var benchmarksText string

// figure is a chart as the page has it.
type figure struct {
	*chart.Chart
	Drawing template.HTML
}

// figureOf trusts the plotting library, which escapes its texts.
func figureOf(c *chart.Chart) figure { return figure{c, template.HTML(c.SVG)} }

// benchmarkView is a benchmark with its own charts.
type benchmarkView struct {
	report.Benchmark
	Figures []figure
}

// benchmarksView is the part of the page about benchmarks.
type benchmarksView struct {
	Memory   []string
	Chance   string // what the number of comparisons means
	Rates    []figure
	Ratios   []figure // by metric
	List     []benchmarkView
	Baseline []report.BaselineEntry
}

// benchmarks is nil when there is nothing to show.
func benchmarks(doc report.Document) (*benchmarksView, error) {
	if len(doc.Benchmarks) == 0 && len(doc.Baseline) == 0 {
		return nil, nil
	}
	v := &benchmarksView{Memory: doc.MemoryStatement(), Chance: chance(doc.Benchmarks), Baseline: doc.Baseline}
	if len(doc.Benchmarks) == 0 {
		return v, nil
	}
	var err error
	draw := func(figures []figure, c *chart.Chart, failed error) []figure {
		switch {
		case failed != nil:
			err = failed
		case c != nil:
			figures = append(figures, figureOf(c))
		}
		return figures
	}
	c, failed := chart.Throughput(report.Rated(doc.Benchmarks))
	v.Rates = draw(v.Rates, c, failed)
	for _, metric := range chart.Metrics(doc.Benchmarks) {
		c, failed := chart.Ratios(metric, doc.Benchmarks)
		v.Ratios = draw(v.Ratios, c, failed)
	}
	for _, b := range doc.Benchmarks {
		view := benchmarkView{Benchmark: b}
		c, failed := chart.Latency(b)
		view.Figures = draw(view.Figures, c, failed)
		for _, curve := range b.Curves {
			c, failed := chart.Curve(curve)
			view.Figures = draw(view.Figures, c, failed)
		}
		v.List = append(v.List, view)
	}
	return v, err
}

// chance says how many of the comparisons show a difference when there is none;
// empty when that is not worth a word.
func chance(benchmarks []report.Benchmark) string {
	comparisons, expected := 0, 0.0
	for _, b := range benchmarks {
		for _, c := range b.Comparisons {
			if c.Confidence > 0 {
				comparisons++
				expected += 1 - c.Confidence
			}
		}
	}
	if expected < 0.5 {
		return ""
	}
	return fmt.Sprintf("Of %d comparisons about %.0f would show a difference by chance alone.", comparisons, expected)
}

// figures says in one line what was measured.
func figures(b report.Benchmark) string {
	var parts []string
	if rates := b.Throughputs(); rates != "" {
		parts = append(parts, rates)
	}
	parts = append(parts, b.Found...)
	for _, c := range b.Comparisons {
		parts = append(parts, c.Metric+" "+c.Sentence())
	}
	for _, reason := range b.Invalid {
		parts = append(parts, "in doubt: "+reason)
	}
	return strings.Join(parts, "; ")
}

// shown is the style of what a comparison shows.
func shown(c report.Comparison) string {
	switch {
	case c.Worse():
		return "bad"
	case c.Shows():
		return "good"
	}
	return "none"
}
