package matrix

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// doc is a report of the first combination with the counts of passed, failed and not applicable specs.
func doc(result report.Result, passed, failed, na int) report.Document {
	d := report.Document{Schema: report.Schema, Verdict: report.Verdict{Result: result, ExitCode: result.ExitCode()}}
	d.Facts = []report.Fact{{Group: "cluster", Name: "kubernetes", Value: "v1.37.2"}, {Group: "memcached", Name: "version", Value: "1.6.38"}, {Group: "driver", Name: "version", Value: "v1.1.0"}, {Group: "node node1", Name: "kernel", Value: "6.12.117+deb13-cloud-amd64"}}
	for o, n := range map[spec.Outcome]int{spec.Passed: passed, spec.Failed: failed, spec.NotApplicable: na, spec.Skipped: 1} {
		for range n {
			d.Specs = append(d.Specs, report.SpecResult{Outcome: o})
		}
	}
	return d
}

func write(t *testing.T, dir string, d report.Document) {
	t.Helper()
	text, err := report.Encode(d)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, reportFile), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// fake returns a runner that ends as said, run by run.
func fake(t *testing.T, runs ...func(dir string) (int, error)) Runner {
	i := 0
	return func(_ context.Context, _ Combination, dir string) (int, error) {
		if i++; i > len(runs) {
			t.Fatalf("run %d of %d", i, len(runs))
		}
		return runs[i-1](dir)
	}
}

func table(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	// All but the last are the same to the reports.
	one, other := sets(t)[DefaultSet][0], sets(t)[DefaultSet][8]
	six := []Combination{one, one, one, one, one, one, other}
	// What is left of an earlier run is not taken for a report.
	write(t, filepath.Join(dir, "03-"+six[2].Name()), doc(report.Conformant, 9, 0, 0))
	ended := func(d report.Document, exit int) func(string) (int, error) {
		return func(dir string) (int, error) { write(t, dir, d); return exit, nil }
	}
	rows, exit, err := Run(t.Context(), six, dir, fake(t,
		ended(doc(report.Conformant, 30, 0, 4), 0),
		ended(doc(report.NotConformant, 29, 1, 4), 1),
		func(string) (int, error) { return 0, nil },
		func(string) (int, error) { return 0, errors.New("no | such\nfile") },
		ended(doc(report.NotConformant, 1, 1, 0), 0),
		func(string) (int, error) { return 3, nil },
		ended(doc(report.Conformant, 30, 0, 4), 0),
	), io.Discard)
	if err != nil || exit != report.ExitNotConformant {
		t.Errorf("exit %d, %v", exit, err)
	}
	for i, want := range []struct {
		result string
		exit   int
	}{
		{"CONFORMANT", 0}, {"NOT CONFORMANT", 1}, {resultNoReport, 2}, {resultNotBegun, 2}, {"NOT CONFORMANT", 2}, {resultNoReport, 3}, {resultOther, 2},
	} {
		if rows[i].Result != want.result || rows[i].Exit != want.exit {
			t.Errorf("row %d: %q, exit %d; want %q, %d", i+1, rows[i].Result, rows[i].Exit, want.result, want.exit)
		}
	}
	text, markdown := strings.Join(strings.Fields(table(t, dir, "matrix.txt")), " "), table(t, dir, "matrix.md")
	for _, want := range []string{"NOT APPLICABLE", "v1.37.2", "1.6.38", " CONFORMANT 0 1 30 4 0 ", " NOT CONFORMANT 1 1 29 4 1 ", "no | such file"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	lines := strings.Split(markdown, "\n")
	if columns := strings.Count(lines[0], "|"); columns != 14 || strings.Count(lines[2], "|") != columns {
		t.Errorf("%d columns in\n%s", columns, markdown)
	}
	for _, want := range []string{`no \| such<br>file`, "exited with 0, and its report says 1", "asked for v1.35.4 and found v1.37.2", "(01-" + six[0].Name() + "/index.html)"} {
		if !strings.Contains(markdown, want) {
			t.Errorf("%q is missing in\n%s", want, markdown)
		}
	}
}

// An interrupt ends the current run, and the table has all rows.
func TestRunIsInterrupted(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	one := sets(t)[DefaultSet][0]
	three := []Combination{one, one, one}
	rows, exit, err := Run(ctx, three, dir, fake(t,
		func(dir string) (int, error) { write(t, dir, doc(report.Conformant, 30, 0, 4)); return 0, nil },
		func(dir string) (int, error) {
			if text := table(t, filepath.Dir(dir), "matrix.txt"); !strings.Contains(text, "CONFORMANT") || strings.Count(text, resultNotRun) != 2 {
				t.Errorf("while the second runs the table is\n%s", text)
			}
			cancel()
			d := doc(report.Undetermined, 3, 0, 0)
			d.Run.Interrupted, d.Verdict.ExitCode = true, report.ExitInterrupted
			write(t, dir, d)
			return report.ExitInterrupted, nil
		},
	), io.Discard)
	if err != nil || exit != report.ExitInterrupted {
		t.Errorf("exit %d, %v", exit, err)
	}
	if rows[1].Result != "UNDETERMINED, interrupted" || rows[2].Result != resultNotRun {
		t.Errorf("rows are %+v", rows)
	}
	if text := table(t, dir, "matrix.txt"); strings.Count(text, "\n") != 4 || !strings.Contains(text, resultNotRun) {
		t.Errorf("the table is\n%s", text)
	}
}

func TestWorst(t *testing.T) {
	for _, c := range []struct {
		codes []int
		want  int
	}{
		{nil, 0}, {[]int{0, 0}, 0}, {[]int{0, 4}, 4}, {[]int{4, 2, 0}, 2}, {[]int{2, 1, 4}, 1}, {[]int{1, 130}, 130},
		{[]int{0, exitNotRun}, 2}, {[]int{1, exitNotRun}, 1}, {[]int{3, 0}, 3}, {[]int{3, 2}, 2}, {[]int{0, 77}, 77},
	} {
		if got := worst(c.codes); got != c.want {
			t.Errorf("worst of %v is %d, want %d", c.codes, got, c.want)
		}
	}
}
