package report

import (
	"fmt"
	"slices"

	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/spec"
)

// BaselineState is what became of a BaselineEntry.
type BaselineState string

const (
	Held        BaselineState = "held" // nothing else is shown
	Regressed   BaselineState = "regressed"
	Improved    BaselineState = "improved"
	NotMeasured BaselineState = "not measured"
)

// BaselineEntry is a ratio to the control that a benchmark is to keep.
type BaselineEntry struct {
	Benchmark string       `yaml:"benchmark"`
	Profile   spec.Profile `yaml:"profile"`
	Metric    string       `yaml:"metric"` // as in Comparison
	Value     float64      `yaml:"value"`
	Tolerance float64      `yaml:"tolerance"` // share of Value
	Link      string       `yaml:"link,omitempty"`
	Reason    string       `yaml:"reason,omitempty"`
	Line      int          `yaml:"-"` // in the file
	// State and what follows it say what the run has found.
	State    BaselineState `yaml:"state"`
	Measured *Comparison   `yaml:"measured,omitempty"`
	Why      string        `yaml:"why,omitempty"` // it was not measured
}

// Name is what e is about.
func (e BaselineEntry) Name() string {
	return fmt.Sprintf("%s (%s) %s", e.Benchmark, e.Profile, e.Metric)
}

// Against says in words what e compares; of one that was not measured, why.
func (e BaselineEntry) Against() string {
	expected := fmt.Sprintf("the baseline is %s with a tolerance of %s", Figure(e.Value), percent(e.Tolerance))
	if e.Measured == nil {
		return e.Why + "; " + expected
	}
	return fmt.Sprintf("ratio %s; %s", e.Measured.Figures(), expected)
}

// judged is e with what the benchmarks say about it. Only what the whole
// confidence interval shows counts.
func (e BaselineEntry) judged(benchmarks []Benchmark) BaselineEntry {
	e.State, e.Measured, e.Why = NotMeasured, nil, ""
	var found *Benchmark
	for i := range benchmarks {
		if b := &benchmarks[i]; b.Name == e.Benchmark && b.Profile == e.Profile {
			found = b
		}
	}
	if found == nil {
		e.Why = "the run has no such benchmark"
		return e
	}
	i := slices.IndexFunc(found.Comparisons, func(c Comparison) bool { return c.Metric == e.Metric })
	switch {
	case len(found.Invalid) > 0:
		e.Why = "the figures say little: " + oneline.Of(found.Invalid[0])
		return e
	case i < 0:
		e.Why = "the benchmark has no comparison of " + e.Metric
		return e
	case found.Comparisons[i].Pairs == 0:
		e.Why = "no pair was measured"
		return e
	}
	c := found.Comparisons[i]
	below, above := c.High < e.Value*(1-e.Tolerance), c.Low > e.Value*(1+e.Tolerance)
	if c.Better == Lower {
		below, above = above, below
	}
	e.State, e.Measured = Held, &c
	switch {
	case below:
		e.State = Regressed
	case above:
		e.State = Improved
	}
	return e
}

// compareBaseline has what became of each entry.
func (d *Document) compareBaseline() {
	d.Baseline = slices.Clone(d.Baseline)
	for i, e := range d.Baseline {
		d.Baseline[i] = e.judged(d.Benchmarks)
	}
}

// offBaseline are the findings about the baseline. What the user's filter may
// have left out is not missed.
func (d Document) offBaseline() []finding {
	var findings []finding
	for _, e := range d.Baseline {
		switch {
		case e.State == Regressed:
			findings = append(findings, find(NotConformant, "%s is worse than the baseline: %s", e.Name(), e.Against()))
		case e.State == NotMeasured && d.Run.Selection == "":
			findings = append(findings, find(Undetermined, "%s is in the baseline and was not measured: %s", e.Name(), e.Against()))
		}
	}
	return findings
}
