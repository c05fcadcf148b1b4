// Package chart draws benchmarks as SVG that follows the colours of the page
// that it stands in.
package chart

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Chart is a drawing with what belongs next to it.
type Chart struct {
	Title string
	SVG   string // made by the plotting library, which escapes its texts
	Keys  []Key
	Notes []string // to numbers in the drawing
}

// Key says what a colour stands for.
type Key struct {
	Name   string
	Colour string // name of a variable of the page's style
	Dashed bool
}

// Colours that become variables of the page's style.
var (
	ink     = color.RGBA{1, 2, 3, 255}
	grid    = color.RGBA{15, 0, 0, 255}
	good    = color.RGBA{16, 0, 0, 255}
	bad     = color.RGBA{17, 0, 0, 255}
	doubt   = color.RGBA{18, 0, 0, 255}
	palette = []color.RGBA{{11, 0, 0, 255}, {12, 0, 0, 255}, {13, 0, 0, 255}, {14, 0, 0, 255}}
	recolor = strings.NewReplacer("#010203", "var(--ink)", "#0F0000", "var(--line)", "#100000", "var(--good)", "#110000", "var(--bad)", "#120000", "var(--doubt)",
		"#0B0000", "var(--c1)", "#0C0000", "var(--c2)", "#0D0000", "var(--c3)", "#0E0000", "var(--c4)")
)

// variable is the name of a colour of the palette.
func variable(n int) string { return fmt.Sprintf("c%d", n%len(palette)+1) }

// Charts of benchmarks have this width, so that their texts have one size.
const (
	width     = 12 * vg.Centimeter
	height    = 6 * vg.Centimeter
	labelSize = 8
	lineWidth = 1.6
)

// dashes of lines about writing.
var dashes = []vg.Length{vg.Points(4), vg.Points(2.5)}

func blank() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.Label.TextStyle.Color, axis.Tick.Color, axis.Tick.Label.Color = ink, ink, ink, ink
		axis.Label.TextStyle.Font.Size = vg.Points(labelSize)
		axis.Tick.Label.Font.Size = vg.Points(labelSize)
	}
	for _, style := range []*text.Style{&p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label} {
		style.Font.Variant = "Sans"
	}
	p.X.Label.Padding = vg.Points(3)
	return p
}

// gridOf draws lines at the ticks that have a label.
func gridOf(p *plot.Plot, vertical, horizontal bool) {
	g := plotter.NewGrid()
	g.Vertical.Color, g.Horizontal.Color = nil, nil
	if vertical {
		g.Vertical = draw.LineStyle{Color: grid, Width: vg.Points(0.5)}
	}
	if horizontal {
		g.Horizontal = draw.LineStyle{Color: grid, Width: vg.Points(0.5)}
	}
	p.Add(g)
}

// style is that of a text in a drawing.
func style(p *plot.Plot) text.Style {
	s := p.X.Tick.Label
	s.XAlign, s.YAlign = text.XLeft, text.YCenter
	return s
}

// plotFunc draws on a plot.
type plotFunc func(c draw.Canvas, p *plot.Plot)

// Plot implements plot.Plotter.
func (f plotFunc) Plot(c draw.Canvas, p *plot.Plot) { f(c, p) }

// spread widens an axis that has no extent.
func spread(a *plot.Axis, logarithmic bool) {
	if a.Max > a.Min {
		return
	}
	if logarithmic {
		a.Min, a.Max = a.Min/2, a.Max*2
		return
	}
	a.Min, a.Max = a.Min-1, a.Max+1
}

var svgSize = regexp.MustCompile(`<svg width="[^"]*" height="[^"]*"`)

func encode(title string, p *plot.Plot, width, height vg.Length) (*Chart, error) {
	canvas := vgsvg.New(width, height)
	p.Draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("draw %s: %w", title, err)
	}
	drawn := b.String()
	start := strings.Index(drawn, "<svg")
	if start < 0 {
		return nil, fmt.Errorf("draw %s: the plot is no SVG", title)
	}
	drawn = svgSize.ReplaceAllString(recolor.Replace(drawn[start:]), `<svg role="img" aria-label="`+html.EscapeString(title)+`"`)
	return &Chart{Title: title, SVG: drawn}, nil
}

// durations names 1, 2 and 5 of each power of ten, or 1 alone of many.
type durations struct{}

// Ticks implements plot.Ticker.
func (durations) Ticks(low, high float64) []plot.Tick {
	decades := math.Log10(high / low)
	var ticks []plot.Tick
	for _, t := range (plot.LogTicks{Prec: -1}).Ticks(low, high) {
		if slices.ContainsFunc(ticks, func(o plot.Tick) bool { return math.Round(o.Value) == math.Round(t.Value) }) {
			continue // the library draws powers of ten twice
		}
		t.Label = ""
		digit := math.Round(t.Value / math.Pow10(int(math.Floor(math.Log10(t.Value)+1e-9))))
		if digit == 1 || digit == 2 && decades < 3 || digit == 5 && decades < 3 {
			t.Label = short(time.Duration(math.Round(t.Value)))
		}
		ticks = append(ticks, t)
	}
	return ticks
}

// short has a space before the unit.
func short(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if d >= unit.of {
			return strconv.FormatFloat(float64(d)/float64(unit.of), 'g', 4, 64) + " " + unit.name
		}
	}
	return fmt.Sprintf("%d ns", d)
}

// thousands are at most seven ticks at round numbers, with k and M.
type thousands struct{}

// Ticks implements plot.Ticker.
func (thousands) Ticks(low, high float64) []plot.Tick {
	step := math.Pow10(int(math.Floor(math.Log10(high - low))))
	for _, finer := range []float64{5, 2} {
		if (high-low)/step*finer <= 7 {
			step /= finer
			break
		}
	}
	if (high-low)/step > 7 {
		step *= 2
	}
	var ticks []plot.Tick
	for i := int(math.Ceil(low/step - 1e-9)); float64(i)*step <= high+1e-9*step; i++ {
		at := float64(i) * step
		ticks = append(ticks, plot.Tick{Value: at, Label: si(at)})
	}
	return ticks
}

func si(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + " M"
	case a >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 3, 64) + " k"
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
