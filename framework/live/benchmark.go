package live

import (
	"fmt"
	"strings"

	"github.com/mattn/go-runewidth"

	"pmem-memcached-e2e/framework/report"
)

// benchmark shows what was measured: the throughput of both memories and what
// its comparison shows. The report has the other comparisons.
func (p *Printer) benchmark(b report.Benchmark) {
	parts := []string{fmt.Sprintf("%-14s %-10s", printable(b.Name), printable(string(b.Profile)))}
	rate := func(memory string, perSecond float64) {
		parts = append(parts, fmt.Sprintf("%s %.0f/s", printable(memory), perSecond))
	}
	if b.Rated() {
		rate(report.Memory, b.Throughput())
	}
	if b.Control != nil {
		rate(b.Control.Name, b.Control.Throughput())
	}
	rates := " · " + strings.Join(parts, "  ")
	if len(b.Comparisons) == 0 {
		p.line(rates)
	} else {
		p.compared(rates, b.Comparisons[0])
	}
	for _, text := range b.Found {
		p.line(indent + printable(text))
	}
	for _, reason := range b.Invalid {
		p.line(indent + p.paint(yellow, "in doubt") + ": " + printable(reason))
	}
}

// compared puts what c shows after rates, or on the next line where there
// is no room.
func (p *Printer) compared(rates string, c report.Comparison) {
	figures, words, s := printable(c.Metric)+" "+c.Range(), c.Words(), dim
	switch {
	case c.Worse():
		s = yellow
	case c.Shows():
		s = green
	}
	gap := "  "
	if p.screen.terminal && runewidth.StringWidth(rates+gap+figures+" "+words) >= p.screen.width() {
		gap = "\n" + indent
	}
	p.line(rates + gap + figures + " " + p.paint(s, words))
}
