package chart

import (
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"pmem-memcached-e2e/framework/report"
)

// Sizes of a row with its bars.
const (
	rowHeight  = 30
	barHeight  = 11
	axisHeight = 34 // below the rows
)

type bar struct {
	row     int // from the top
	nth, of int // in its row
	value   float64
	samples []float64
}

// Throughput draws a row for each benchmark: a bar for each memory that ends at
// the median, with a dot for each sample; nil without benchmarks.
func Throughput(benchmarks []report.Benchmark) (*Chart, error) {
	if len(benchmarks) == 0 {
		return nil, nil
	}
	p := blank()
	var names []string
	var bars []bar
	var most float64
	add := func(b bar, samples []report.Sample) {
		most = math.Max(most, b.value)
		for _, s := range samples {
			b.samples = append(b.samples, s.PerSecond)
			most = math.Max(most, s.PerSecond)
		}
		bars = append(bars, b)
	}
	keys := []Key{{Name: report.Memory, Colour: variable(0)}}
	for i, b := range benchmarks {
		names = append([]string{label(b, benchmarks)}, names...)
		if b.Control == nil {
			add(bar{row: i, of: 1, value: b.Throughput()}, b.Samples)
		} else {
			add(bar{row: i, of: 2, value: b.Throughput()}, b.Samples)
			add(bar{row: i, nth: 1, of: 2, value: b.Control.Throughput()}, b.Control.Samples)
			if len(keys) == 1 {
				keys = append(keys, Key{Name: b.Control.Name, Colour: variable(1)})
			}
		}
	}
	p.NominalY(names...)
	p.X.Min, p.X.Max = 0, math.Max(1, most)*1.14
	p.Y.Min, p.Y.Max = -0.5, float64(len(benchmarks))-0.5
	p.X.Label.Text, p.X.Tick.Marker = "requests a second", thousands{}
	gridOf(p, true, false)
	p.Add(plotFunc(func(c draw.Canvas, p *plot.Plot) { drawBars(c, p, bars, len(benchmarks)) }))
	title := "Throughput"
	if slices.ContainsFunc(bars, func(b bar) bool { return len(b.samples) > 0 }) {
		title += ": the median, and each sample as a dot"
	}
	chart, err := encode(title, p, width, vg.Points(float64(rowHeight*len(benchmarks)+axisHeight)))
	if err != nil {
		return nil, err
	}
	chart.Keys = keys
	return chart, nil
}

func drawBars(c draw.Canvas, p *plot.Plot, bars []bar, rows int) {
	x, y := p.Transforms(&c)
	for _, b := range bars {
		top := y(float64(rows-1-b.row)) + vg.Points(barHeight)*(vg.Length(b.of)/2-vg.Length(b.nth))
		bottom, right := top-vg.Points(barHeight-1), x(b.value)
		c.FillPolygon(palette[b.nth], []vg.Point{{X: x(0), Y: bottom}, {X: right, Y: bottom}, {X: right, Y: top}, {X: x(0), Y: top}})
		middle, end := (top+bottom)/2, right
		for _, s := range b.samples {
			c.DrawGlyph(draw.GlyphStyle{Color: ink, Radius: vg.Points(1.5), Shape: draw.RingGlyph{}}, vg.Point{X: x(s), Y: middle})
			end = max(end, x(s))
		}
		s := style(p)
		c.FillText(s, vg.Point{X: end + vg.Points(5), Y: middle}, si(b.value))
	}
}

// label names a benchmark, with its profile when there are several, and says
// when the figures say little.
func label(b report.Benchmark, among []report.Benchmark) string {
	var more []string
	if slices.ContainsFunc(among, func(o report.Benchmark) bool { return o.Profile != b.Profile }) {
		more = append(more, string(b.Profile))
	}
	if len(b.Invalid) > 0 {
		more = append(more, "in doubt")
	}
	if len(more) == 0 {
		return b.Name
	}
	return b.Name + "\n" + strings.Join(more, ", ")
}
