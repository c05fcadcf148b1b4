package report

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/golden"
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

func getHeavy() BaselineEntry {
	return BaselineEntry{Benchmark: "get-heavy", Profile: spec.Ephemeral, Metric: "requests/s", Value: 0.95, Tolerance: 0.1, Line: 1, State: NotMeasured}
}

func TestReadBaseline(t *testing.T) {
	whole := getHeavy()
	whole.Value, whole.Tolerance, whole.Line = 1, 0, 3
	whole.Link, whole.Reason = "https://example.org/1", "as measured"
	other := getHeavy()
	other.Metric, other.Line = "p99", 6
	for _, tt := range []struct {
		name, text string
		want       []BaselineEntry
	}{
		{"one", goodBaseline, []BaselineEntry{getHeavy()}},
		{"another metric", goodBaseline + strings.Replace(goodBaseline, "requests/s", "p99", 1), []BaselineEntry{getHeavy(), other}},
		{"whole numbers, a comment, link and reason", "# made by hand\n\n- {benchmark: get-heavy, profile: ephemeral, metric: requests/s, value: 1, tolerance: 0, " +
			"link: https://example.org/1, reason: as measured}\n", []BaselineEntry{whole}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ReadBaseline(baselineFile(t, tt.text))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("ReadBaseline() = %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// TestReadBaselineRefuses checks the messages as a whole.
func TestReadBaselineRefuses(t *testing.T) {
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
		list, err := ReadBaseline(path)
		if err == nil || list != nil {
			t.Errorf("%s: ReadBaseline() = %v, %v, want an error and no entries", tt.name, list, err)
		}
		fmt.Fprintf(&got, "# %s\n%s\n\n", tt.name, strings.ReplaceAll(fmt.Sprint(err), path, "baseline.yaml"))
	}
	golden.Check(t, "baseline-errors.txt", got.String())
	if _, err := ReadBaseline(filepath.Join(t.TempDir(), "none.yaml")); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("without a file: %v", err)
	}
}

// compared is a benchmark with one comparison.
func compared(metric, better string, low, ratio, high float64) Benchmark {
	samples := make([]Sample, 8)
	for i := range samples {
		samples[i] = Sample{PerSecond: 5000 + 10*float64(i)}
	}
	return Benchmark{Name: "get-heavy", Spec: "THR-01", Profile: spec.Ephemeral, Setting: "9 gets a set", Latencies: []LatencyOfRequest{},
		Samples: samples, Twin: &Twin{Name: "dram", Samples: samples, Latencies: []LatencyOfRequest{}},
		Comparisons: []Comparison{{Metric: metric, Better: better, Ratio: ratio, Low: low, High: high, Confidence: 0.95, Pairs: 8}}}
}

func TestBaselineStates(t *testing.T) {
	invalid := compared("requests/s", Higher, 0.5, 0.5, 0.5)
	invalid.Invalid = []string{"the client was the bottleneck"}
	unpaired := compared("requests/s", Higher, 0.5, 0.5, 0.5)
	unpaired.Comparisons[0].Pairs = 0
	elsewhere := compared("requests/s", Higher, 0.5, 0.5, 0.5)
	elsewhere.Profile = spec.Persistent
	latency := func(e *BaselineEntry) { e.Metric = "p99" }
	for _, tt := range []struct {
		name      string
		measured  []Benchmark
		change    func(*BaselineEntry)
		want      BaselineState
		says, why string
	}{
		{name: "as it was", measured: []Benchmark{compared("requests/s", Higher, 0.94, 0.95, 0.96)}, want: Held},
		{name: "a part of the interval is within the tolerance", measured: []Benchmark{compared("requests/s", Higher, 0.7, 0.8, 0.86)}, want: Held},
		{name: "the whole interval is below", measured: []Benchmark{compared("requests/s", Higher, 0.8, 0.82, 0.85)}, want: Regressed,
			says: "ratio 0.82, 95 % interval 0.80 to 0.85, 8 pairs; the baseline is 0.95 with a tolerance of 10 %"},
		{name: "the whole interval is above", measured: []Benchmark{compared("requests/s", Higher, 1.05, 1.1, 1.2)}, want: Improved},
		{name: "latency above", measured: []Benchmark{compared("p99", Lower, 1.05, 1.1, 1.2)}, change: latency, want: Regressed},
		{name: "latency below", measured: []Benchmark{compared("p99", Lower, 0.8, 0.82, 0.85)}, change: latency, want: Improved},
		{name: "no tolerance", measured: []Benchmark{compared("requests/s", Higher, 0.93, 0.94, 0.949)}, change: func(e *BaselineEntry) { e.Tolerance = 0 }, want: Regressed},
		{name: "the last of two counts", measured: []Benchmark{compared("requests/s", Higher, 0.8, 0.82, 0.85), compared("requests/s", Higher, 0.94, 0.95, 0.96)}, want: Held},
		{name: "not run", want: NotMeasured, says: "the run has no such benchmark; the baseline is 0.95 with a tolerance of 10 %"},
		{name: "another profile", measured: []Benchmark{elsewhere}, want: NotMeasured, why: "the run has no such benchmark"},
		{name: "another metric", measured: []Benchmark{compared("p99", Lower, 1, 1, 1)}, want: NotMeasured, why: "the benchmark has no comparison of requests/s"},
		{name: "no pairs", measured: []Benchmark{unpaired}, want: NotMeasured, why: "no pair was measured"},
		{name: "invalid", measured: []Benchmark{invalid}, want: NotMeasured, why: "the figures say little: the client was the bottleneck"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := getHeavy()
			if tt.change != nil {
				tt.change(&e)
			}
			got := e.judged(tt.measured)
			if got.State != tt.want || (got.Measured == nil) != (tt.want == NotMeasured) || tt.why != "" && got.Why != tt.why {
				t.Errorf("%+v, want it %s because %q", got, tt.want, tt.why)
			}
			if tt.says != "" && got.Against() != tt.says {
				t.Errorf("it says %q, want %q", got.Against(), tt.says)
			}
		})
	}
}

// TestNewBaseline reads what was written.
func TestNewBaseline(t *testing.T) {
	tail := compared("requests/s", Higher, 0.9, 0.951, 1.01)
	tail.Comparisons = append(tail.Comparisons, Comparison{Metric: "p99", Better: Lower, Ratio: 1.2, Low: 1.1, High: 1.3, Confidence: 0.95, Pairs: 8})
	invalid := compared("requests/s", Higher, 1, 1, 1)
	invalid.Name, invalid.Invalid = "large: values", []string{"the client\nwas the bottleneck"}
	data, err := NewBaseline(Document{Run: Run{ID: "run-1", Version: "0123"}, Benchmarks: []Benchmark{tail, invalid, {Name: "old"}}})
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "baseline.yaml", data)
	entries, err := ReadBaseline(baselineFile(t, string(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if got := e.judged([]Benchmark{tail}); got.State != Held {
			t.Errorf("%s: %s, want it %s by what it was made from", e.Name(), got.State, Held)
		}
	}
	if len(entries) != 2 {
		t.Errorf("%d entries, want 2", len(entries))
	}
	for _, without := range [][]Benchmark{nil, {invalid}, {{Name: "old"}}} {
		if data, err := NewBaseline(Document{Benchmarks: without}); err == nil {
			t.Errorf("NewBaseline() of %v = %s, want an error", without, data)
		}
	}
}
