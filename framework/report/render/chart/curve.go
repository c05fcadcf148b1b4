package chart

import (
	"fmt"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"pmem-memcached-e2e/framework/report"
)

const (
	mostDots   = 25 // points of a series of which each is shown
	wideSpread = 12 // between the least and the largest X, above which few points are drawn on a logarithmic axis
)

// Curve draws the lines of c. Its marks are numbered lines with a note for
// each. It is nil when there is no point.
func Curve(c report.Curve) (*Chart, error) {
	p := blank()
	p.X.Label.Text, p.Y.Label.Text = c.X, c.Y
	p.X.Tick.Marker, p.Y.Tick.Marker = thousands{}, thousands{}
	gridOf(p, false, true)
	var keys []Key
	for i, s := range c.Series {
		if len(s.Points) == 0 {
			continue
		}
		if err := addSeries(p, s, i); err != nil {
			return nil, fmt.Errorf("chart of %s: %w", c.Title, err)
		}
		keys = append(keys, Key{Name: s.Name, Colour: variable(i)})
	}
	if len(keys) == 0 {
		return nil, nil
	}
	for _, m := range c.Marks {
		p.X.Min, p.X.Max = math.Min(p.X.Min, m.X), math.Max(p.X.Max, m.X)
	}
	p.Y.Min = math.Min(0, p.Y.Min)
	spread(&p.Y, false)
	spread(&p.X, false)
	if sizes := sizesOf(c); sizes != nil {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.ConstantTicks(sizes)
	}
	p.Y.Max += (p.Y.Max - p.Y.Min) * 0.05
	if len(c.Marks) > 0 {
		p.Y.Max += (p.Y.Max - p.Y.Min) * 0.2
		p.Add(plotFunc(func(canvas draw.Canvas, p *plot.Plot) { drawMarks(canvas, p, c.Marks) }))
	}
	chart, err := encode(c.Title, p, width, height)
	if err != nil {
		return nil, err
	}
	chart.Keys = keys
	for i, m := range c.Marks {
		chart.Notes = append(chart.Notes, fmt.Sprintf("%d: %s (%s %s)", i+1, m.Text, strconv.FormatFloat(m.X, 'g', 4, 64), c.X))
	}
	return chart, nil
}

func addSeries(p *plot.Plot, s report.Series, n int) error {
	points := make(plotter.XYs, len(s.Points))
	for i, at := range s.Points {
		points[i] = plotter.XY{X: at.X, Y: at.Y}
	}
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	c := palette[n%len(palette)]
	line.Color, line.Width = c, vg.Points(lineWidth)
	p.Add(line)
	if len(points) <= mostDots {
		dots.Color, dots.Shape, dots.Radius = c, draw.CircleGlyph{}, vg.Points(2.4)
		p.Add(dots)
	}
	return nil
}

// sizesOf are ticks for a curve over few sizes that lie far apart; nil for any
// other.
func sizesOf(c report.Curve) []plot.Tick {
	low, high := math.Inf(1), 0.0
	var ticks []plot.Tick
	seen := map[float64]bool{}
	for _, s := range c.Series {
		for _, at := range s.Points {
			low, high = math.Min(low, at.X), math.Max(high, at.X)
			if !seen[at.X] {
				ticks = append(ticks, plot.Tick{Value: at.X, Label: si(at.X)})
			}
			seen[at.X] = true
		}
	}
	if low <= 0 || high/low < wideSpread || len(ticks) > 10 || len(c.Marks) > 0 {
		return nil
	}
	return sorted(ticks)
}

// drawMarks puts the numbers on three heights, so that neighbours do not cover
// one another.
func drawMarks(c draw.Canvas, p *plot.Plot, marks []report.Mark) {
	x, _ := p.Transforms(&c)
	for i, m := range marks {
		at := x(m.X)
		top := c.Max.Y - vg.Points(float64(4+9*(i%3)))
		c.StrokeLine2(draw.LineStyle{Color: ink, Width: vg.Points(0.8), Dashes: dashes}, at, c.Min.Y, at, top-vg.Points(5))
		s := style(p)
		s.XAlign = text.XCenter
		c.FillText(s, vg.Point{X: at, Y: top}, strconv.Itoa(i+1))
	}
}
