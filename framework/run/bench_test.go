package run

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// TestBenchmarkRun runs the only benchmark of the suite, AAA-16.
func TestBenchmarkRun(t *testing.T) {
	notShort(t)
	baseline := func(value string) func(*config.Config) {
		return func(c *config.Config) {
			c.Baseline = filepath.Join(t.TempDir(), "baseline.yaml")
			write(t, c.Baseline, "- {benchmark: get-heavy, profile: ephemeral, metric: requests/s, value: "+value+", tolerance: 0.05}\n")
		}
	}
	tests := []struct {
		name   string
		change func(*config.Config)
		code   int
		result report.Result
		state  report.BaselineState // of the entry
	}{
		{name: "measured", change: func(*config.Config) {}, result: report.AllMeasured},
		{name: "with a filter", change: func(c *config.Config) { c.Select.Labels = "ephemeral || SHOULD" }, result: report.AllMeasured},
		{name: "the baseline is held", change: baseline("0.82"), result: report.AllMeasured, state: report.Held},
		{name: "a regression", change: baseline("1"), code: 1, result: report.NotConformant, state: report.Regressed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := execute(t, func(c *config.Config, _ *recorder) {
				c.Bench = true
				tt.change(c)
			}, nil)
			doc := o.document(t)
			if o.code != tt.code || doc.Verdict.Result != tt.result || doc.Run.Purpose != report.Measuring {
				t.Errorf("exit code %d, %s of a %s run, want %d and %s\n%s", o.code, doc.Verdict.Result, doc.Run.Purpose, tt.code, tt.result, o.all())
			}
			if got := outcomesOf(doc); len(got) != 1 || got["AAA-16"] != spec.Passed {
				t.Errorf("outcomes %v, want AAA-16 to pass and no other spec to run", got)
			}
			if tt.state != "" && (len(doc.Baseline) != 1 || doc.Baseline[0].State != tt.state) {
				t.Errorf("baseline %+v, want it %s", doc.Baseline, tt.state)
			}
		})
	}
}

func TestBenchmarksAreRunsOfTheirOwn(t *testing.T) {
	refused := func(change func(*config.Config), says string) {
		t.Helper()
		o := execute(t, func(c *config.Config, _ *recorder) { change(c) }, nil)
		if o.code != ExitUsage || !strings.Contains(o.stderr, says) {
			t.Errorf("exit code %d, want %d; the output is\n%s\nwant %q in it", o.code, ExitUsage, o.all(), says)
		}
	}
	refused(func(c *config.Config) { c.Select.Focus = "AAA-16" }, fmt.Sprintf(`FOCUS="AAA-16" selects none of the %d specs; benchmarks run with make bench`, examining()))
	refused(func(c *config.Config) { c.Bench, c.Select.Focus = true, "AAA-01" }, `BENCH=1 FOCUS="AAA-01" selects none of the 1 benchmarks; e2e list shows the specs`)
	refused(func(c *config.Config) {
		c.Bench, c.Baseline = true, filepath.Join(t.TempDir(), "baseline.yaml")
		write(t, c.Baseline, "- {benchmark: get-heavy}\n")
	}, "baseline.yaml:1: [0].profile is missing, want text")

	c := config.Default("/src")
	all := spec.Listing{Specs: []spec.Spec{{ID: "AAA-01"}, {ID: "AAA-16", Tags: []string{spec.BenchmarkTag}}}, Selected: []string{"AAA-01", "AAA-16"}}
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
		why    [2]string // why each of the specs is skipped
	}{
		{"conformance", func(*config.Config) {}, [2]string{"", examinesOnly}},
		{"conformance with a filter", func(c *config.Config) { c.Select.Labels = "a || b" }, [2]string{"", examinesOnly}},
		{"benchmark", func(c *config.Config) { c.Bench = true }, [2]string{measuresOnly, ""}},
		{"qualification", func(c *config.Config) { c.Qualification = true }, [2]string{"", examinesOnly}},
		{"qualification with a baseline", func(c *config.Config) { c.Qualification, c.Baseline = true, "x" }, [2]string{"", ""}},
	} {
		c := c
		tt.change(&c)
		for i, s := range all.Specs {
			if got := skips(c, all)(s); got != tt.why[i] {
				t.Errorf("%s: %s is skipped because %q, want %q", tt.name, s.ID, got, tt.why[i])
			}
		}
	}
}
