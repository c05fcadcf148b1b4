package chart

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

const (
	timelineWidth = 24 * vg.Centimeter
	timelineRow   = 10 // height of a spec
)

// ran is a row: a spec, or what the run itself did.
type ran struct {
	name       string
	lane       int
	begin, end time.Duration // since the run began
	colour     color.RGBA
}

// Timeline draws the specs of a run as bars over time, those of each lane
// together, after what came before the first of them and before what came after
// the last. It is nil when no spec ran.
func Timeline(run report.Run, specs []report.SpecResult) (*Chart, error) {
	rows, lanes := timelineRows(run, specs)
	if len(rows) == 0 {
		return nil, nil
	}
	var names []string
	for _, r := range slices.Backward(rows) {
		names = append(names, r.name)
	}
	p := blank()
	p.NominalY(names...)
	p.Y.Padding = vg.Points(2)
	end := rows[len(rows)-1].end.Minutes()
	for _, r := range rows {
		end = math.Max(end, r.end.Minutes())
	}
	p.X.Min, p.X.Max = 0, end*1.06 // with room for the time of the last spec
	p.X.Tick.Marker = plot.ConstantTicks(minuteTicks(end))
	p.X.Label.Text = "minutes since the run began"
	p.Y.Min, p.Y.Max = -0.6, float64(len(rows))-0.4
	gridOf(p, true, false)
	p.Add(plotFunc(func(c draw.Canvas, p *plot.Plot) { drawTimeline(c, p, rows, lanes) }))
	chart, err := encode("What ran when", p, timelineWidth, vg.Points(float64(timelineRow*len(rows)+axisHeight)))
	if err != nil {
		return nil, err
	}
	for _, o := range timelineColours {
		if slices.ContainsFunc(rows, func(r ran) bool { return r.colour == o.colour }) {
			chart.Keys = append(chart.Keys, Key{Name: o.name, Colour: o.variable})
		}
	}
	return chart, nil
}

var timelineColours = []struct {
	name, variable string
	colour         color.RGBA
	of             []spec.Outcome
}{
	{"passed", "good", good, []spec.Outcome{spec.Passed}},
	{"failed", "bad", bad, []spec.Outcome{spec.Failed}},
	{"undetermined or leaked", "doubt", doubt, []spec.Outcome{spec.Undetermined, spec.Leaked}},
	{"the run itself", "c1", palette[0], nil},
}

func timelineRows(run report.Run, specs []report.SpecResult) (rows []ran, lanes int) {
	var first, last time.Time
	for _, s := range specs {
		if s.Attempts == 0 || s.Took <= 0 || s.Started.Before(run.Started) {
			continue
		}
		begin, end := s.Started.Sub(run.Started), s.Started.Add(s.Took)
		row := ran{name: s.ID, lane: s.Lane, begin: begin, end: begin + s.Took, colour: ink}
		for _, o := range timelineColours {
			if slices.Contains(o.of, s.Outcome) {
				row.colour = o.colour
			}
		}
		rows = append(rows, row)
		lanes = max(lanes, s.Lane+1)
		if first.IsZero() || s.Started.Before(first) {
			first = s.Started
		}
		if end.After(last) {
			last = end
		}
	}
	if len(rows) == 0 {
		return nil, 0
	}
	slices.SortStableFunc(rows, func(a, b ran) int {
		return cmp.Or(cmp.Compare(a.lane, b.lane), cmp.Compare(a.begin, b.begin))
	})
	rows = slices.Insert(rows, 0, ran{name: "set-up", lane: -1, end: first.Sub(run.Started), colour: palette[0]})
	if run.Ended.After(last) {
		rows = append(rows, ran{name: "end", lane: lanes, begin: last.Sub(run.Started), end: run.Ended.Sub(run.Started), colour: palette[0]})
	}
	return rows, lanes
}

func drawTimeline(c draw.Canvas, p *plot.Plot, rows []ran, lanes int) {
	x, y := p.Transforms(&c)
	half := vg.Points(timelineRow) * 0.32
	for i, r := range rows {
		at := y(float64(len(rows) - 1 - i))
		from, to := x(r.begin.Minutes()), x(r.end.Minutes())
		c.FillPolygon(r.colour, []vg.Point{{X: from, Y: at - half}, {X: to, Y: at - half}, {X: to, Y: at + half}, {X: from, Y: at + half}})
		c.FillText(style(p), vg.Point{X: to + vg.Points(3), Y: at + vg.Points(1)}, fmt.Sprintf("%.0f s", (r.end-r.begin).Seconds()))
		if lanes < 2 || i == 0 || r.lane == rows[i-1].lane {
			continue
		}
		line := at + vg.Points(timelineRow)/2
		c.StrokeLine2(draw.LineStyle{Color: ink, Width: vg.Points(0.5)}, c.Min.X, line, c.Max.X, line)
		if r.lane < lanes {
			name := style(p)
			name.XAlign = text.XRight
			c.FillText(name, vg.Point{X: c.Max.X - vg.Points(labelSize), Y: at}, "lane "+strconv.Itoa(r.lane+1))
		}
	}
}

// minuteTicks are at most 15 in the first two weeks.
func minuteTicks(end float64) []plot.Tick {
	step := 0.25
	for _, longer := range []float64{0.5, 1, 2, 5, 10, 30, 60, 300, 1440} {
		if end/step <= 15 {
			break
		}
		step = longer
	}
	var ticks []plot.Tick
	for at := 0.0; at <= end; at += step {
		ticks = append(ticks, plot.Tick{Value: at, Label: strconv.FormatFloat(at, 'g', -1, 64)})
	}
	return ticks
}
