package report

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

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

// baselineEntry is what the user writes.
type baselineEntry struct {
	Benchmark string       `yaml:"benchmark"`
	Profile   spec.Profile `yaml:"profile"`
	Metric    string       `yaml:"metric"`
	Value     float64      `yaml:"value"`
	Tolerance float64      `yaml:"tolerance"`
	Link      string       `yaml:"link,omitempty"`
	Reason    string       `yaml:"reason,omitempty"`
}

// ReadBaseline reads the file at path: a list of entries with benchmark,
// profile, metric, value, tolerance and, if need be, link and reason. What is
// malformed or there twice is an error that names file, line, key, value and
// remedy; all are told. A file without entries is an error too.
func ReadBaseline(path string) ([]BaselineEntry, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the baseline: %w", err)
	}
	var baseline []BaselineEntry
	err = readList(path, data, func(e baselineEntry, at map[string]int, line int) (errs []error) {
		for _, d := range e.defects() {
			errs = append(errs, fmt.Errorf("%s:%d: %s is %q: %s", path, at[d.key], d.key, d.value, d.remedy))
		}
		b := BaselineEntry{Benchmark: e.Benchmark, Profile: e.Profile, Metric: e.Metric, Value: e.Value, Tolerance: e.Tolerance,
			Link: e.Link, Reason: e.Reason, Line: line, State: NotMeasured}
		same := func(o BaselineEntry) bool { return o.Name() == b.Name() }
		if other := slices.IndexFunc(baseline, same); other >= 0 {
			errs = append(errs, fmt.Errorf("%s:%d: metric is %q: the entry at line %d has it for %s (%s) already; remove one",
				path, at["metric"], b.Metric, baseline[other].Line, b.Benchmark, b.Profile))
		}
		baseline = append(baseline, b)
		return errs
	})
	if err != nil {
		return nil, err
	}
	if len(baseline) == 0 {
		return nil, fmt.Errorf("%s: there is no entry; make bench-baseline writes such a file from a report", path)
	}
	return baseline, nil
}

func (e baselineEntry) defects() []defect {
	var found []defect
	bad := func(key, value, remedy string) { found = append(found, defect{key, value, remedy}) }
	if strings.TrimSpace(e.Benchmark) == "" {
		bad("benchmark", e.Benchmark, "give the name of a benchmark, such as get-heavy")
	}
	if e.Profile != spec.Ephemeral && e.Profile != spec.Persistent && e.Profile != spec.Driver {
		bad("profile", string(e.Profile), "give ephemeral, persistent or driver")
	}
	if strings.TrimSpace(e.Metric) == "" {
		bad("metric", e.Metric, "give the metric of a comparison with the control, such as requests/s")
	}
	if !(e.Value > 0) {
		bad("value", fmt.Sprint(e.Value), "give the ratio to the control, a number above 0 such as 0.95")
	}
	if !(e.Tolerance >= 0 && e.Tolerance < 1) {
		bad("tolerance", fmt.Sprint(e.Tolerance), "give a share of the value, from 0 to below 1, such as 0.1")
	}
	if e.Link != "" && !isLink(e.Link) {
		bad("link", e.Link, "give an address such as https://example.org/issues/1, or leave it out")
	}
	return found
}

// Name is what e is about.
func (e BaselineEntry) Name() string {
	return fmt.Sprintf("%s (%s) %s", e.Benchmark, e.Profile, e.Metric)
}

// Against says in words what e compares; of one that was not measured, why.
func (e BaselineEntry) Against() string {
	expected := fmt.Sprintf("the baseline is %s with a tolerance of %s", figure(e.Value), percent(e.Tolerance))
	if e.Measured == nil {
		return e.Why + "; " + expected
	}
	return fmt.Sprintf("ratio %s; %s", e.Measured.interval(), expected)
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

// compareBaseline tells what became of each entry.
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

// defaultTolerance is that of a baseline made from a report.
const defaultTolerance = 0.1

// NewBaseline is a file for ReadBaseline with what d has measured. A benchmark
// that is invalid is reported in a comment. Without a comparison with a control it is
// an error.
func NewBaseline(d Document) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Ratios to the control in run %s, version %s.\n# tolerance is the share of the value by which a ratio may be worse.\n", oneline.Of(d.Run.ID), oneline.Of(d.Run.Version))
	n := 0
	for i, m := range d.Benchmarks {
		if slices.ContainsFunc(d.Benchmarks[i+1:], func(o Benchmark) bool { return o.Name == m.Name && o.Profile == m.Profile }) {
			continue
		}
		if len(m.Invalid) > 0 {
			fmt.Fprintf(&b, "# %s (%s) is left out: %s\n", oneline.Of(m.Name), m.Profile, oneline.Of(m.Invalid[0]))
			continue
		}
		for _, c := range m.Comparisons {
			if c.Pairs == 0 || !(c.Ratio > 0) {
				continue
			}
			n++
			fmt.Fprintf(&b, "- benchmark: %s\n  profile: %s\n  metric: %s\n  value: %s # %s\n  tolerance: %g\n",
				scalar(m.Name), scalar(string(m.Profile)), scalar(c.Metric), figure(c.Ratio), c.interval(), defaultTolerance)
		}
	}
	if n == 0 {
		return nil, errors.New("the report has no valid comparison of a benchmark with its control; make bench measures them")
	}
	return []byte(b.String()), nil
}
