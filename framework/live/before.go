package live

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// Plan shows what will run, by profile, and why some of it is not. A later
// plan replaces an earlier one.
func (p *Printer) Plan(plan []spec.Planned) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.titles, p.toRun = map[string]string{}, 0
	for _, s := range plan {
		p.titles[s.ID] = s.Title
		if s.Outcome == "" {
			p.toRun++
		}
	}
	var parts []string
	for _, profile := range spec.Profiles() {
		total, counts := 0, map[spec.Outcome]int{}
		for _, s := range plan {
			if s.Profile == profile {
				total++
				counts[s.Outcome]++
			}
		}
		if total == 0 {
			continue
		}
		noun := "specs"
		if total == 1 {
			noun = "spec"
		}
		text := fmt.Sprintf("%s: %d %s · %d to run", profile, total, noun, counts[""])
		for _, o := range spec.Outcomes() {
			if counts[o] > 0 {
				text += fmt.Sprintf(" · %d %s", counts[o], o)
			}
		}
		if n := spec.PlannedPairs(p.all, plan, profile); n.Stated > 0 {
			text += fmt.Sprintf(" · %d of %d MUSTs", n.Examined, n.Stated)
		}
		parts = append(parts, text)
	}
	p.topic("plan", strings.Join(parts, " — "))
	for _, s := range plan {
		if s.Outcome == spec.NotApplicable || s.Outcome == spec.Undetermined {
			p.line(p.headline(report.SpecResult{ID: s.ID, Title: s.Title, Level: s.Level, Outcome: s.Outcome}))
			p.line(indent + printable(s.Why))
			p.leftOut[s.ID] = true
		}
	}
}

// highlights are the facts that are shown of all that are known.
var highlights = []struct {
	group, name string // as in report.Fact; of a node or driver whatever its name
	show        func(value string) string
}{
	{"cluster", "kubernetes", func(v string) string { return "k8s " + strings.TrimPrefix(v, "v") }},
	{"driver", "image", func(v string) string { return "driver " + path.Base(v) }},
	{"driver", "device mode", func(v string) string { return "mode " + v }},
	{"memcached", "version", func(v string) string { return "memcached " + v }},
	{"cluster", "nodes", func(v string) string { return "nodes " + v }},
	{"node", report.FactEmulated, func(v string) string {
		switch v {
		case report.FactYes:
			return "emulated pmem"
		case report.FactNo:
			return "real pmem"
		}
		return "pmem " + v
	}},
	{"node", report.FactAccelerator, func(v string) string { return "accelerator " + v }},
}

// Facts shows the most important facts, or with Verbose all of them, and how
// long it took to get them.
func (p *Printer) Facts(facts []report.Fact, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Verbose {
		for _, f := range facts {
			p.fact(f)
		}
		p.topic("facts", timed(fmt.Sprint(len(facts)), took))
		return
	}
	var parts []string
	for _, h := range highlights {
		for _, f := range facts {
			group, _, _ := strings.Cut(f.Group, " ")
			if group != h.group || f.Name != h.name {
				continue
			}
			if part := printable(h.show(f.Value)); !slices.Contains(parts, part) {
				parts = append(parts, part)
			}
		}
	}
	p.topic("facts", timed(strings.Join(append(parts, fmt.Sprintf("%d in the report", len(facts))), " · "), took))
}

func (p *Printer) fact(f report.Fact) {
	p.topic("fact", printable(fmt.Sprintf("%s: %s: %s (%s)", f.Group, f.Name, f.Value, f.Evidence)))
}

// Preflight shows how many checks passed, each that did not, or with Verbose
// all of them, and how long they took.
func (p *Printer) Preflight(checks []report.Check, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := map[report.CheckState]int{}
	for _, c := range checks {
		counts[c.State]++
	}
	var parts []string
	for _, s := range []report.CheckState{report.CheckFailed, report.CheckUnknown, report.CheckSkipped, report.CheckPassed} {
		if counts[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
		}
	}
	p.topic("checks", timed(strings.Join(parts, " · "), took))
	for _, c := range checks {
		if c.State == report.CheckPassed && !p.Verbose {
			continue
		}
		p.line(strings.TrimRight(fmt.Sprintf(" %s %-7s %s: %s", p.symbol(c.State.Shown()), printable(c.Name), printable(string(c.State)), printable(c.Saw)), ": "))
		if c.Remedy != "" {
			p.line(indent + printable(c.Remedy))
		}
	}
}
