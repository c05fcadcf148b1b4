package render

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"pmem-memcached-e2e/framework/report"
)

// The plots are drawn with these colours, which become variables of the page's
// style, so that they follow light and dark.
var (
	ink     = color.RGBA{1, 2, 3, 255}
	palette = []color.RGBA{{11, 0, 0, 255}, {12, 0, 0, 255}, {13, 0, 0, 255}, {14, 0, 0, 255}}
	recolor = strings.NewReplacer("#010203", "var(--ink)", "#0B0000", "var(--c1)", "#0C0000", "var(--c2)", "#0D0000", "var(--c3)", "#0E0000", "var(--c4)")
)

const (
	chartWidth  = 16 * vg.Centimeter
	chartHeight = 8 * vg.Centimeter
)

// chart is a drawing with what it shows in words.
type chart struct {
	Title string
	SVG   template.HTML
}

// charts draws throughput and latency of the benchmarks; none without any.
func charts(doc report.Document) ([]chart, error) {
	var list []chart
	if len(doc.Benchmarks) == 0 {
		return nil, nil
	}
	for _, draw := range []func([]report.Benchmark) (*plot.Plot, error){throughput, latency} {
		p, err := draw(doc.Benchmarks)
		if err != nil {
			return nil, err
		}
		if p == nil {
			continue
		}
		svg, err := encode(p)
		if err != nil {
			return nil, err
		}
		list = append(list, chart{p.Title.Text, svg})
	}
	return list, nil
}

func blank(title string) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.Title.Padding = vg.Points(8)
	p.BackgroundColor = color.Transparent
	p.Title.TextStyle.Color = ink
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.Label.TextStyle.Color, axis.Tick.Color, axis.Tick.Label.Color = ink, ink, ink, ink
	}
	p.Legend.TextStyle.Color = ink
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		style.Font.Variant = "Sans"
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding = vg.Points(3)
	return p
}

func throughput(benchmarks []report.Benchmark) (*plot.Plot, error) {
	p := blank("Throughput (operations a second)")
	var names []string
	for i, b := range benchmarks {
		bar, err := plotter.NewBarChart(plotter.Values{b.PerSecond()}, vg.Points(34))
		if err != nil {
			return nil, fmt.Errorf("chart of the throughput: %w", err)
		}
		bar.XMin = float64(i)
		bar.Color, bar.LineStyle.Width = palette[i%len(palette)], 0
		p.Add(bar)
		names = append(names, fmt.Sprintf("%s: %.0f/s", b.Name, b.PerSecond()))
	}
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.7, float64(len(benchmarks))-0.3
	p.Y.Min = 0
	return p, nil
}

// latency draws a line for each kind of request of each benchmark; the places
// on the horizontal axis are those of the percentiles that all have.
func latency(benchmarks []report.Benchmark) (*plot.Plot, error) {
	p := blank("Latency by percentile (logarithmic)")
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, durationTicks{}
	var names []string
	n := 0
	for _, b := range benchmarks {
		for _, l := range b.Latencies {
			points := plotter.XYs{}
			for i, point := range l.Percentiles {
				if len(names) <= i {
					name := fmt.Sprintf("p%g", point.Percent)
					if point.Percent == 100 {
						name = "max"
					}
					names = append(names, name)
				}
				if point.Latency > 0 {
					points = append(points, plotter.XY{X: float64(i), Y: float64(point.Latency)})
				}
			}
			if len(points) == 0 {
				continue
			}
			line, dots, err := plotter.NewLinePoints(points)
			if err != nil {
				return nil, fmt.Errorf("chart of the latency: %w", err)
			}
			c := palette[n%len(palette)]
			line.Color, line.Width = c, vg.Points(1.6)
			dots.Color, dots.Shape, dots.Radius = c, draw.CircleGlyph{}, vg.Points(2.4)
			p.Add(line, dots)
			p.Legend.Add(b.Name+", "+l.Request, line, dots)
			n++
		}
	}
	if n == 0 {
		return nil, nil
	}
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.3, float64(len(names))-0.7
	p.Y.Max *= 4 // room for the legend
	return p, nil
}

// durationTicks names 1, 2 and 5 of each power of ten.
type durationTicks struct{}

func (durationTicks) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for _, t := range (plot.LogTicks{Prec: -1}).Ticks(low, high) {
		if slices.ContainsFunc(ticks, func(o plot.Tick) bool { return math.Round(o.Value) == math.Round(t.Value) }) {
			continue // the library draws powers of ten twice
		}
		t.Label = ""
		digit := math.Round(t.Value / math.Pow10(int(math.Floor(math.Log10(t.Value)+1e-9))))
		if digit == 1 || digit == 2 || digit == 5 {
			t.Label = time.Duration(math.Round(t.Value)).String()
		}
		ticks = append(ticks, t)
	}
	return ticks
}

var svgSize = regexp.MustCompile(`<svg width="[^"]*" height="[^"]*"`)

func encode(p *plot.Plot) (template.HTML, error) {
	canvas := vgsvg.New(chartWidth, chartHeight)
	p.Draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", fmt.Errorf("draw %s: %w", p.Title.Text, err)
	}
	drawn := b.String()
	start := strings.Index(drawn, "<svg")
	if start < 0 {
		return "", fmt.Errorf("draw %s: the plot is no SVG", p.Title.Text)
	}
	drawn = svgSize.ReplaceAllString(recolor.Replace(drawn[start:]), `<svg role="img" aria-label="`+template.HTMLEscapeString(p.Title.Text)+`"`)
	return template.HTML(drawn), nil // made by the plotting library, which escapes its texts
}
