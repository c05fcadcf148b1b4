package userfile

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/strictyaml"
)

// BaselineEntry is what the user writes about a ratio to the control that a
// benchmark is to keep.
type BaselineEntry struct {
	Benchmark string       `yaml:"benchmark" jsonschema:"minLength=1"`                  // such as get-heavy
	Profile   spec.Profile `yaml:"profile"`                                             // in which it is measured
	Metric    string       `yaml:"metric" jsonschema:"minLength=1"`                     // of a comparison in the report, such as requests/s
	Value     float64      `yaml:"value" jsonschema:"exclusiveMinimum=0"`               // the ratio
	Tolerance float64      `yaml:"tolerance" jsonschema:"minimum=0,exclusiveMaximum=1"` // share of the value by which it may be worse
	Link      string       `yaml:"link,omitempty" jsonschema:"pattern=^https?://"`      // where the ratio is discussed
	Reason    string       `yaml:"reason,omitempty"`                                    // for the ratio
}

// Baseline reads the file at path: a list of entries with benchmark,
// profile, metric, value, tolerance and, if need be, link and reason. What is
// malformed or there twice is an error that names file, line, key, value and
// remedy; all are reported. A file without entries is an error too.
func Baseline(path string) ([]report.BaselineEntry, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the baseline: %w", err)
	}
	var baseline []report.BaselineEntry
	err = strictyaml.ReadList(path, data, func(e BaselineEntry, at map[string]int, line int) (errs []error) {
		for _, d := range e.defects() {
			errs = append(errs, fmt.Errorf("%s:%d: %s is %q: %s", path, at[d.key], d.key, d.value, d.remedy))
		}
		b := report.BaselineEntry{Benchmark: e.Benchmark, Profile: e.Profile, Metric: e.Metric, Value: e.Value, Tolerance: e.Tolerance,
			Link: e.Link, Reason: e.Reason, Line: line, State: report.NotMeasured}
		same := func(o report.BaselineEntry) bool { return o.Name() == b.Name() }
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

func (e BaselineEntry) defects() []defect {
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

// defaultTolerance is that of a baseline made from a report.
const defaultTolerance = 0.1

// NewBaseline is a file for Baseline with what d has measured. A benchmark
// that is invalid is reported in a comment. Without a comparison with a control it is
// an error.
func NewBaseline(d report.Document) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Ratios to the control in run %s, version %s.\n# tolerance is the share of the value by which a ratio may be worse.\n", oneline.Of(d.Run.ID), oneline.Of(d.Run.Version))
	n := 0
	for i, m := range d.Benchmarks {
		if slices.ContainsFunc(d.Benchmarks[i+1:], func(o report.Benchmark) bool { return o.Name == m.Name && o.Profile == m.Profile }) {
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
				strictyaml.Text(m.Name), strictyaml.Text(string(m.Profile)), strictyaml.Text(c.Metric), report.Figure(c.Ratio), c.Figures(), defaultTolerance)
		}
	}
	if n == 0 {
		return nil, errors.New("the report has no valid comparison of a benchmark with its control; make bench measures them")
	}
	return []byte(b.String()), nil
}
