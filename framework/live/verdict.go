package live

import (
	"fmt"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// mostReasons is how many of them are shown; the report has all.
const mostReasons = 10

// Verdict shows the end of a run: specs that did not end, the verdict of
// each profile that was examined, why it is not the best, and as the last line
// the verdict of the run with the page to read in reportDir.
func (p *Printer) Verdict(d report.Document, reportDir string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ReportDir = reportDir
	p.idle("")
	p.unfinished(d.Specs)
	total := map[spec.Outcome]int{}
	for _, v := range d.Verdict.Profiles {
		for o, n := range v.Counts {
			total[o] += n
		}
		if v.Result != report.NotExamined {
			text := fmt.Sprintf("%s: %s (%s)", printable(string(v.Profile)), p.result(v.Result), spec.Counts(v.Counts))
			if v.Pairs.Stated > 0 && d.Run.Purpose != report.Measuring {
				text += fmt.Sprintf(" · MUSTs: %s", v.Pairs)
			}
			p.topic("verdict", text)
		}
	}
	reasons := p.reasons(d)
	for _, reason := range reasons {
		p.topic("because", reason)
	}
	if d.Verdict.Scope != "" {
		p.topic("scope", printable(d.Verdict.Scope))
	}
	if d.Verdict.ExitCode != 0 {
		p.annotate(string(d.Verdict.Result), strings.Join(append(reasons, p.inReport("index.html")), "\n"))
	}
	p.topic("verdict", fmt.Sprintf("%s (%s) · %s", p.result(d.Verdict.Result), spec.Counts(total), p.inReport("index.html")))
}

// unfinished shows the specs whose end was not reported.
func (p *Printer) unfinished(specs []report.SpecResult) {
	var notRun []string
	for _, s := range specs {
		switch {
		case p.ended[s.ID] || p.leftOut[s.ID] || s.Outcome == spec.Skipped || s.Outcome == spec.NotApplicable:
		case s.Outcome == spec.NotRun:
			notRun = append(notRun, printable(s.ID))
		default:
			p.line(p.headline(s))
			p.line(indent + printable(s.Reason))
		}
	}
	if len(notRun) > 0 {
		p.line(fmt.Sprintf(" %s not run: %s", p.symbol(spec.NotRun), strings.Join(notRun, " ")))
	}
}

// reasons are those of the verdict, with what went wrong outside of the specs
// first: it is often why the rest is as it is.
func (p *Printer) reasons(d report.Document) []string {
	var all, shown []string
	for _, reason := range slices.Concat(d.Errors, d.Verdict.Reasons) {
		if !slices.Contains(all, reason) {
			all = append(all, reason)
		}
	}
	for _, reason := range all[:min(len(all), mostReasons)] {
		shown = append(shown, printable(reason))
	}
	if more := len(all) - len(shown); more > 0 {
		shown = append(shown, fmt.Sprintf("… %d more reasons in %s", more, p.inReport("index.html")))
	}
	return shown
}

func (p *Printer) result(r report.Result) string {
	return p.paint(styles[r.Shown()], printable(string(r)))
}
