package userfile

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

func baselineFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "baseline.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const goodBaseline = `- benchmark: get-heavy
  profile: ephemeral
  metric: requests/s
  value: 0.95
  tolerance: 0.1
`

func getHeavy() report.BaselineEntry {
	return report.BaselineEntry{Benchmark: "get-heavy", Profile: spec.Ephemeral, Metric: "requests/s", Value: 0.95, Tolerance: 0.1, Line: 1, State: report.NotMeasured}
}

func TestBaseline(t *testing.T) {
	whole := getHeavy()
	whole.Value, whole.Tolerance, whole.Line = 1, 0, 3
	whole.Link, whole.Reason = "https://example.org/1", "as measured"
	other := getHeavy()
	other.Metric, other.Line = "p99", 6
	for _, tt := range []struct {
		name, text string
		want       []report.BaselineEntry
	}{
		{"one", goodBaseline, []report.BaselineEntry{getHeavy()}},
		{"another metric", goodBaseline + strings.Replace(goodBaseline, "requests/s", "p99", 1), []report.BaselineEntry{getHeavy(), other}},
		{"whole numbers, a comment, link and reason", "# made by hand\n\n- {benchmark: get-heavy, profile: ephemeral, metric: requests/s, value: 1, tolerance: 0, " +
			"link: https://example.org/1, reason: as measured}\n", []report.BaselineEntry{whole}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Baseline(baselineFile(t, tt.text))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Baseline() = %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// TestBaselineRefuses checks the messages as a whole.
func TestBaselineRefuses(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(goodBaseline, old) {
			t.Fatalf("the entry has no %q", old)
		}
		return strings.Replace(goodBaseline, old, new, 1)
	}
	var got strings.Builder
	for _, tt := range []struct{ name, text string }{
		{"empty", ""},
		{"no entries", "[]\n"},
		{"no YAML", "- benchmark: [\n"},
		{"a mapping", "benchmark: get-heavy\n"},
		{"unknown key", goodBaseline + "  owner: me\n"},
		{"a key of the report", goodBaseline + "  state: held\n"},
		{"key twice", goodBaseline + "  value: 1\n"},
		{"missing keys", "- benchmark: get-heavy\n  profile: ephemeral\n"},
		{"no benchmark", replace("get-heavy", `" "`)},
		{"unknown profile", replace("ephemeral", "both")},
		{"no metric", replace("requests/s", `""`)},
		{"value in words", replace("0.95", "fast")},
		{"value is zero", replace("0.95", "0")},
		{"value is negative", replace("0.95", "-0.95")},
		{"value is no number", replace("0.95", ".nan")},
		{"value is not finite", replace("0.95", ".inf")},
		{"tolerance in percent", replace("0.1", "10 %")},
		{"tolerance of all", replace("0.1", "1")},
		{"negative tolerance", replace("0.1", "-0.1")},
		{"link that is none", goodBaseline + "  link: somewhere\n"},
		{"duplicate", goodBaseline + goodBaseline},
		{"several", replace("0.95", "0") + "- x: y\n" + goodBaseline},
	} {
		path := baselineFile(t, tt.text)
		list, err := Baseline(path)
		if err == nil || list != nil {
			t.Errorf("%s: Baseline() = %v, %v, want an error and no entries", tt.name, list, err)
		}
		fmt.Fprintf(&got, "# %s\n%s\n\n", tt.name, strings.ReplaceAll(fmt.Sprint(err), path, "baseline.yaml"))
	}
	golden.Check(t, "baseline-errors.txt", got.String())
	if _, err := Baseline(filepath.Join(t.TempDir(), "none.yaml")); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("without a file: %v", err)
	}
}

// compared is a benchmark with one comparison.
func compared(metric, better string, low, ratio, high float64) report.Benchmark {
	samples := make([]report.Sample, 8)
	for i := range samples {
		samples[i] = report.Sample{PerSecond: 5000 + 10*float64(i)}
	}
	return report.Benchmark{Name: "get-heavy", Spec: "THR-01", Profile: spec.Ephemeral, Setting: "9 gets a set", Latencies: []report.LatencyOfRequest{},
		Samples: samples, Control: &report.Control{Name: "dram", Samples: samples, Latencies: []report.LatencyOfRequest{}},
		Comparisons: []report.Comparison{{Metric: metric, Better: better, Ratio: ratio, Low: low, High: high, Confidence: 0.95, Pairs: 8}}}
}

// TestNewBaseline reads what was written.
func TestNewBaseline(t *testing.T) {
	tail := compared("requests/s", report.Higher, 0.9, 0.951, 1.01)
	tail.Comparisons = append(tail.Comparisons, report.Comparison{Metric: "p99", Better: report.Lower, Ratio: 1.2, Low: 1.1, High: 1.3, Confidence: 0.95, Pairs: 8})
	invalid := compared("requests/s", report.Higher, 1, 1, 1)
	invalid.Name, invalid.Invalid = "large: values", []string{"the client\nwas the bottleneck"}
	data, err := NewBaseline(report.Document{Run: report.Run{ID: "run-1", Version: "0123"}, Benchmarks: []report.Benchmark{tail, invalid, {Name: "old"}}})
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "baseline.yaml", data)
	entries, err := Baseline(baselineFile(t, string(data)))
	if err != nil {
		t.Fatal(err)
	}
	r := report.NewRecorder(report.Run{Started: lastDay}, spec.Catalogue{})
	r.Baseline(entries)
	r.Record(report.Event{Kind: report.Measured, Benchmark: &tail})
	for _, e := range r.Finish(lastDay, nil).Baseline {
		if e.State != report.Held {
			t.Errorf("%s: %s, want it %s by what it was made from", e.Name(), e.State, report.Held)
		}
	}
	if len(entries) != 2 {
		t.Errorf("%d entries, want 2", len(entries))
	}
	for _, without := range [][]report.Benchmark{nil, {invalid}, {{Name: "old"}}} {
		if data, err := NewBaseline(report.Document{Benchmarks: without}); err == nil {
			t.Errorf("NewBaseline() of %v = %s, want an error", without, data)
		}
	}
}
