package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/report/userfile"
	"pmem-memcached-e2e/framework/spec"
)

// stored writes the report of a run with a benchmark, or without.
func stored(t *testing.T, benchmarks ...report.Benchmark) string {
	t.Helper()
	d := report.NewRecorder(report.Run{ID: "run-1", Version: "0123", Purpose: report.Measuring}, spec.Catalogue{})
	for _, b := range benchmarks {
		d.Record(report.Event{Kind: report.Measured, Benchmark: &b})
	}
	data, err := report.Encode(d.Finish(time.Time{}, nil))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := report.WriteFiles(dir, map[string][]byte{"report.yaml": data}); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "report.yaml")
}

func command(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = execute(context.Background(), args, &out, &errs)
	return code, out.String(), errs.String()
}

var getHeavy = report.Benchmark{Name: "get-heavy", Profile: spec.Ephemeral, Control: &report.Control{Name: "dram"},
	Comparisons: []report.Comparison{{Metric: "requests/s", Better: report.Higher, Ratio: 0.95, Low: 0.9, High: 1, Confidence: 0.95, Pairs: 8}}}

func TestBaseline(t *testing.T) {
	code, stdout, stderr := command("baseline", stored(t, getHeavy))
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	path := filepath.Join(t.TempDir(), "baseline.yaml")
	if err := os.WriteFile(path, []byte(stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	if entries, err := userfile.Baseline(path); err != nil || len(entries) != 1 || entries[0].Value != 0.95 {
		t.Errorf("it is read as %+v, %v", entries, err)
	}
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"baseline", stored(t)}, "no valid comparison"},
		{[]string{"baseline"}, "accepts 1 arg(s), received 0"},
		{[]string{"baseline", filepath.Join(t.TempDir(), "none.yaml")}, "none.yaml"},
	} {
		if code, stdout, stderr := command(tt.args...); code != 3 || stdout != "" || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit code %d, %q, %q, want 3 and %q", tt.args, code, stdout, stderr, tt.says)
		}
	}
}

// TestRenderRemoves leaves no file of an earlier report.
func TestRenderRemoves(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []struct {
		report string
		there  bool
	}{{stored(t, getHeavy), true}, {stored(t), false}} {
		if code, _, stderr := command("report", "render", step.report, dir); code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		for _, name := range []string{"bench.txt", "bench.json"} {
			if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != step.there {
				t.Errorf("%s: %v, want it there: %t", name, err, step.there)
			}
		}
	}
}

func TestSchema(t *testing.T) {
	code, stdout, stderr := command("report", "schema", "known-failures")
	if code != 0 || stderr != "" || !strings.Contains(stdout, `"$schema"`) || !strings.Contains(stdout, `"expires"`) {
		t.Errorf("exit code %d, %q, %s", code, stderr, stdout)
	}
	const want = "e2e report schema: \"knwon-failures\" has no schema; did you mean known-failures? There are report, known-failures, baseline, config\n"
	if code, stdout, stderr := command("report", "schema", "knwon-failures"); code != 3 || stdout != "" || stderr != want {
		t.Errorf("exit code %d, %q, %q, want 3 and %q", code, stdout, stderr, want)
	}
}
