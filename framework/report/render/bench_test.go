package render

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/perf/benchfmt"

	"pmem-memcached-e2e/framework/report"
)

// TestBenchText reads the file as benchstat does.
func TestBenchText(t *testing.T) {
	type found struct {
		n     int
		units []string
	}
	read := func(doc report.Document) (map[string]found, map[string]string) {
		t.Helper()
		data, err := benchText(doc)
		if err != nil {
			t.Fatal(err)
		}
		results, keys := map[string]found{}, map[string]string{}
		reader := benchfmt.NewReader(bytes.NewReader(data), "bench.txt")
		for reader.Scan() {
			switch r := reader.Result().(type) {
			case *benchfmt.Result:
				f := found{n: results[r.Name.String()].n + 1}
				for _, v := range r.Values {
					unit := v.OrigUnit
					if unit == "" {
						unit = v.Unit
					}
					f.units = append(f.units, unit)
				}
				results[r.Name.String()] = f
				for _, c := range r.Config {
					keys[c.Key] = string(c.Value)
				}
			case *benchfmt.SyntaxError:
				t.Errorf("%v\n%s", r, data)
			}
		}
		if err := reader.Err(); err != nil {
			t.Error(err)
		}
		return results, keys
	}
	results, keys := read(benchmarkDocument())
	rated := slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return s.name == "warm-restart" }) // which has curves only
	for _, s := range rated {
		for _, memory := range []string{"pmem", "dram"} {
			name := camel(s.name) + "/profile=" + string(s.profile) + "/memory=" + memory
			if f := results[name]; f.n != 8 || !slices.Equal(f.units, []string{"req/s", "p50-ns", "p99-ns", "client-ns/op", "server-ns/op"}) {
				t.Errorf("%s has %d results of %q, want 8; there are %q", name, f.n, f.units, slices.Sorted(maps.Keys(results)))
			}
		}
	}
	maps.DeleteFunc(results, func(name string, _ found) bool { return strings.HasPrefix(name, "Spec/") })
	if want := 2 * len(rated); len(results) != want {
		t.Errorf("%d names, want %d", len(results), want)
	}
	want := map[string]string{"goos": "linux", "goarch": "amd64", "cpu": "QEMU TCG CPU version 2.5+", "accelerator": "TCG", "pmem-emulated": "yes", "pkg": "pmem-memcached-e2e", "parallel": "1"}
	if !maps.Equal(keys, want) {
		t.Errorf("keys %v, want %v", keys, want)
	}
	ran, keys := read(passing())
	if f := ran["Spec/id=RST-01"]; f.n != 1 || !slices.Equal(f.units, []string{"ns/op", "pods/op", "execs/op", "questions/op", "requests/op", "kube-apiserver-cpu-ns/op", "node1-cpu-ns/op"}) {
		t.Errorf("RST-01 has %d results of %q", f.n, f.units)
	}
	if f := ran["Run"]; f.n != 1 || !slices.Contains(f.units, "node1-cpu-ns/op") || keys["parallel"] != "1" {
		t.Errorf("the run has %d results of %q, with parallel=%s", f.n, f.units, keys["parallel"])
	}
	if results, _ := read(passing()); results["Ephemeral/profile=persistent/memory=pmem"].n != 1 {
		t.Errorf("a benchmark without samples: %v", results)
	}
	attacked := benchmarkDocument()
	attacked.Benchmarks = []report.Benchmark{hostileBenchmark()}
	attacked.Run.Version = "1\nBenchmarkForged 1 1 req/s"
	for name := range first(read(attacked)) {
		if strings.ContainsAny(name, "<>\"") || strings.Contains(name, "Forged") {
			t.Errorf("a name is %q", name)
		}
	}
}

func first[A, B any](a A, _ B) A { return a }

func TestCamel(t *testing.T) {
	for text, want := range map[string]string{"get-heavy": "GetHeavy", "p99.9 of sets": "P99.9OfSets", "über/alles": "ÜberAlles", "": "", "1 MiB": "1MiB"} {
		if got := camel(text); got != want {
			t.Errorf("camel(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestBenchJSON decodes with the keys that a reader would use.
func TestBenchJSON(t *testing.T) {
	data, err := benchJSON(benchmarkDocument())
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Schema     string
		Benchmarks []struct {
			Name        string
			Samples     []struct{ PerSecond, P50Ns float64 }
			Control     struct{ Samples []struct{ ServerCPUNs int64 } } `json:"twin"`
			Comparisons []struct {
				Metric string
				Words  string `json:"says"`
				Ratio  float64
			}
			Curves []struct {
				Series []struct{ Points [][2]float64 }
			}
		}
		Baseline []struct{ State string }
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	b := all.Benchmarks[0]
	if all.Schema != benchSchema || len(all.Benchmarks) != 8 || b.Name != "get-heavy" || len(b.Samples) != 8 || b.Samples[0].P50Ns == 0 || b.Control.Samples[0].ServerCPUNs != 34000 ||
		b.Comparisons[0].Ratio != 0.98 || b.Comparisons[0].Words != "no difference shown" || len(all.Baseline) != 4 || all.Baseline[1].State != "regressed" {
		t.Errorf("read back: %+v", all)
	}
	if last := all.Benchmarks[7]; len(last.Curves) != 3 || len(last.Curves[0].Series[1].Points) != 61 {
		t.Errorf("curves: %+v", last.Curves)
	}
	// Of all that may be missing only an object is null, here the control.
	if data, err = benchJSON(report.Document{Benchmarks: []report.Benchmark{{}}}); err != nil || bytes.Count(data, []byte("null")) != 1 {
		t.Errorf("an empty benchmark: %v\n%s", err, data)
	}
}

// TestNoBenchmarks writes no file about what was not measured.
func TestNoBenchmarks(t *testing.T) {
	files, err := Files(failing())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(files)), []string{"index.html", "junit.xml", "summary.md"}; !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	for _, name := range []string{"bench.txt", "bench.json"} {
		if !slices.Contains(Names(), name) {
			t.Errorf("%s is not among the names", name)
		}
	}
}
