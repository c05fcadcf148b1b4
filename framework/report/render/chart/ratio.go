package chart

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"pmem-memcached-e2e/framework/report"
)

const ratioHeight = 22 // of a row

// Metrics are those of the comparisons of benchmarks, in the order in which
// they come.
func Metrics(benchmarks []report.Benchmark) []string {
	var metrics []string
	for _, b := range benchmarks {
		for _, c := range b.Comparisons {
			if c.Pairs > 0 && !slices.Contains(metrics, c.Metric) {
				metrics = append(metrics, c.Metric)
			}
		}
	}
	return metrics
}

// Ratios draws the ratio to the control by one metric, with its interval, in a row
// for each benchmark that has it. It is nil when none has.
func Ratios(metric string, benchmarks []report.Benchmark) (*Chart, error) {
	var names []string
	var rows []report.Comparison
	low, high := 0.97, 1.03
	for _, b := range benchmarks {
		i := slices.IndexFunc(b.Comparisons, func(c report.Comparison) bool { return c.Metric == metric && c.Pairs > 0 && c.Low > 0 })
		if i < 0 {
			continue
		}
		c := b.Comparisons[i]
		names, rows = append([]string{label(b, benchmarks)}, names...), append(rows, c)
		low, high = math.Min(low, c.Low), math.Max(high, c.High)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	p := blank()
	p.NominalY(names...)
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.ConstantTicks(ratioTicks(low, high))
	p.X.Min, p.X.Max = low/1.02, high*1.02
	p.Y.Min, p.Y.Max = -0.6, float64(len(rows))-0.4
	p.X.Label.Text = "ratio to the control; right of 1 is better"
	if rows[0].Better == report.Lower {
		p.X.Label.Text = "ratio to the control; left of 1 is better"
	}
	gridOf(p, true, false)
	p.Add(plotFunc(func(c draw.Canvas, p *plot.Plot) { drawRatios(c, p, rows) }))
	chart, err := encode(metric+": ratio to the control, with its interval", p, width, vg.Points(float64(ratioHeight*len(rows)+axisHeight)))
	if err != nil {
		return nil, err
	}
	chart.Keys = []Key{{Name: "no difference shown", Colour: "ink"}, {Name: "worse", Colour: "bad"}, {Name: "better", Colour: "good"}}
	return chart, nil
}

func drawRatios(c draw.Canvas, p *plot.Plot, rows []report.Comparison) {
	x, y := p.Transforms(&c)
	c.StrokeLine2(draw.LineStyle{Color: ink, Width: vg.Points(1)}, x(1), c.Min.Y, x(1), c.Max.Y)
	for i, r := range rows {
		colour := ink
		switch {
		case r.Worse():
			colour = bad
		case r.Shows():
			colour = good
		}
		at := y(float64(len(rows) - 1 - i))
		line := draw.LineStyle{Color: colour, Width: vg.Points(lineWidth)}
		c.StrokeLine2(line, x(r.Low), at, x(r.High), at)
		for _, end := range []float64{r.Low, r.High} {
			c.StrokeLine2(line, x(end), at-vg.Points(3), x(end), at+vg.Points(3))
		}
		c.DrawGlyph(draw.GlyphStyle{Color: colour, Radius: vg.Points(3), Shape: draw.BoxGlyph{}}, vg.Point{X: x(r.Ratio), Y: at})
	}
}

// ratioSteps are places for ticks, the finest first.
var ratioSteps = [][]float64{
	{0.90, 0.92, 0.94, 0.96, 0.98, 1, 1.02, 1.04, 1.06, 1.08, 1.10},
	{0.80, 0.85, 0.90, 0.95, 1, 1.05, 1.10, 1.15, 1.20, 1.25},
	{0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.4, 1.6, 1.8},
	{0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 3, 4},
	{0.1, 0.2, 0.5, 1, 2, 5, 10},
	{0.001, 0.01, 0.1, 1, 10, 100, 1000},
}

// ratioTicks are at most eight, and do not leave an end without any.
func ratioTicks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for _, steps := range ratioSteps {
		ticks = nil
		for _, v := range steps {
			if v >= low/1.02 && v <= high*1.02 {
				ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', -1, 64)})
			}
		}
		if n := len(steps); len(ticks) <= 8 && high < steps[n-1]*1.2 && low > steps[0]/1.2 {
			break
		}
	}
	return ticks
}

func sorted(ticks []plot.Tick) []plot.Tick {
	slices.SortFunc(ticks, func(a, b plot.Tick) int { return cmp.Compare(a.Value, b.Value) })
	return ticks
}
