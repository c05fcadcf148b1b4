package chart

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"pmem-memcached-e2e/framework/report"
)

// nines is the place of a percentile: 1 for 90, 2 for 99, and so on.
func nines(percent float64) float64 { return -math.Log10(1 - percent/100) }

// Latency draws the percentiles of a benchmark, a line for each kind of request
// and memory. It is nil when there are none.
func Latency(b report.Benchmark) (*Chart, error) {
	p := blank()
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, durations{}
	ticks := percentTicks(b)
	var keys []Key
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	gridOf(p, true, true)
	draw := func(memory string, n int, latencies []report.LatencyOfRequest) error {
		for i, l := range latencies {
			line, err := percentLine(l, ticks)
			if err != nil {
				return fmt.Errorf("chart of the latency of %s: %w", b.Name, err)
			}
			if line == nil {
				continue
			}
			line.Color, line.Width = palette[n], vg.Points(lineWidth)
			if i > 0 {
				line.Dashes = dashes
			}
			p.Add(line)
			keys = append(keys, Key{Name: memory + " " + l.Request, Colour: variable(n), Dashed: i > 0})
		}
		return nil
	}
	if err := draw(report.Memory, 0, b.Latencies); err != nil {
		return nil, err
	}
	if b.Control != nil {
		if err := draw(b.Control.Name, 1, b.Control.Latencies); err != nil {
			return nil, err
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	p.X.Min, p.X.Max = ticks[0].Value-0.1, ticks[len(ticks)-1].Value+0.25
	spread(&p.Y, true)
	chart, err := encode(b.Name+": latency by percentile", p, width, height)
	if err != nil {
		return nil, err
	}
	chart.Keys = keys
	return chart, nil
}

// percentTicks are the percentiles that any latency has, the maximum one place
// behind the last of the others.
func percentTicks(b report.Benchmark) []plot.Tick {
	all := b.Latencies
	if b.Control != nil {
		all = append(all[:len(all):len(all)], b.Control.Latencies...)
	}
	seen := map[float64]bool{}
	last, most := 0.0, false
	for _, l := range all {
		for _, at := range l.Percentiles {
			if at.Percent >= 100 {
				most = true
				continue
			}
			seen[at.Percent] = true
			last = math.Max(last, nines(at.Percent))
		}
	}
	var ticks []plot.Tick
	for percent := range seen {
		ticks = append(ticks, plot.Tick{Value: nines(percent), Label: fmt.Sprintf("p%g", percent)})
	}
	if most {
		ticks = append(ticks, plot.Tick{Value: math.Floor(last+1e-9) + 1, Label: "max"})
	}
	return sorted(ticks)
}

func percentLine(l report.LatencyOfRequest, ticks []plot.Tick) (*plotter.Line, error) {
	var points plotter.XYs
	for _, at := range l.Percentiles {
		x := nines(at.Percent)
		if at.Percent >= 100 {
			x = ticks[len(ticks)-1].Value
		}
		if at.Latency > 0 {
			points = append(points, plotter.XY{X: x, Y: float64(at.Latency)})
		}
	}
	if len(points) == 0 {
		return nil, nil
	}
	return plotter.NewLine(points)
}
