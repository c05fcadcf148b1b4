package matrix

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/run"
	"pmem-memcached-e2e/framework/spec"
)

// Runner runs the suite once on a combination and puts its report into dir. It
// returns the suite's exit code, also when ctx ends and the suite with it, or
// an error if the suite could not be run.
type Runner func(ctx context.Context, c Combination, dir string) (exit int, err error)

// Row is what became of a combination.
type Row struct {
	Combination
	// Result is the verdict, or in its place what there was none of.
	Result string
	// Exit is the suite's exit code, -1 if it was not run.
	Exit   int
	Counts map[spec.Outcome]int
	// Found are versions that the run has found, by name.
	Found map[string]string
	Took  time.Duration
	// Report is the report's directory, relative to that of the table.
	Report string
	// Err is why there is no verdict.
	Err string
}

// What a row has in place of a verdict.
const (
	resultNotRun    = "not run"
	resultNoReport  = "no report"
	resultNotBegun  = "could not be run"
	resultOther     = "another combination"
	exitNotRun      = -1
	reportFile      = "report.yaml"
	tableFile       = "matrix"
	interruptedMark = "interrupted"
)

// Run runs the combinations one after the other, with a directory below dir
// for the report of each, and writes the table to dir before the first, so
// that it is there whatever happens, and after each. When ctx ends, so does
// the combination that runs, and the others are not run. It returns the
// table's rows and the worst exit code.
func Run(ctx context.Context, combinations []Combination, dir string, runner Runner, progress io.Writer) (rows []Row, exit int, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, 0, fmt.Errorf("directory of the reports: %w", err)
	}
	for i, c := range combinations {
		rows = append(rows, Row{Combination: c, Result: resultNotRun, Exit: exitNotRun, Report: fmt.Sprintf("%02d-%s", i+1, c.Name())})
	}
	if err := writeTable(dir, rows); err != nil {
		return rows, 0, err
	}
	for i := range rows {
		if ctx.Err() != nil {
			break
		}
		row := &rows[i]
		fmt.Fprintf(progress, "matrix   %d of %d: %s\n", i+1, len(rows), row.Name())
		row.examine(ctx, dir, runner)
		fmt.Fprintf(progress, "matrix   %d of %d: %s in %s\n", i+1, len(rows), row.Result, row.Took.Round(time.Second))
		if err := writeTable(dir, rows); err != nil {
			return rows, 0, err
		}
	}
	codes := []int{}
	for _, row := range rows {
		codes = append(codes, row.Exit)
	}
	return rows, worst(codes), nil
}

func (r *Row) examine(ctx context.Context, dir string, runner Runner) {
	start := time.Now()
	path := filepath.Join(dir, r.Report)
	defer func() { r.Took = time.Since(start) }()
	// A report of an earlier run must not be taken for this one's.
	if err := os.RemoveAll(path); err != nil {
		r.Result, r.Exit, r.Err = resultNotBegun, run.ExitUsage, err.Error()
		return
	}
	exit, err := runner(ctx, r.Combination, path)
	if err != nil {
		r.Result, r.Exit, r.Err = resultNotBegun, report.ExitUndetermined, err.Error()
		return
	}
	r.Exit = exit
	r.read(filepath.Join(path, reportFile))
}

// read takes over what the report says. A verdict that is not that of the exit
// code is none.
func (r *Row) read(path string) {
	text, err := os.ReadFile(path)
	var doc report.Document
	if err == nil {
		doc, err = report.Decode(path, text)
	}
	if err != nil {
		r.Result, r.Err = resultNoReport, err.Error()
		if r.Exit == report.ExitConformant {
			r.Exit = report.ExitUndetermined
		}
		return
	}
	r.Result = string(doc.Verdict.Result)
	if doc.Run.Interrupted {
		r.Result += ", " + interruptedMark
	}
	if doc.Verdict.ExitCode != r.Exit {
		r.Err = fmt.Sprintf("the suite exited with %d, and its report says %d", r.Exit, doc.Verdict.ExitCode)
		if r.Exit == report.ExitConformant {
			r.Exit = report.ExitUndetermined
		}
	}
	r.Counts, r.Found = map[spec.Outcome]int{}, map[string]string{}
	for _, s := range doc.Specs {
		r.Counts[s.Outcome]++
	}
	for _, f := range doc.Facts {
		if f.Name == "kubernetes" || f.Name == "kernel" || f.Group == "memcached" && f.Name == "version" {
			r.Found[f.Name] = f.Value
		}
	}
	if other := r.other(); other != "" {
		r.Result, r.Exit, r.Err = resultOther, report.ExitUndetermined, other
	}
}

// other is what the run has found that was not asked for.
func (r *Row) other() string {
	asked, err := artifact.ParseVersions(r.Kubernetes, r.Memcached, r.Kernel)
	if err != nil {
		return err.Error()
	}
	for _, v := range []struct{ name, asked string }{
		{"kubernetes", asked.Kubernetes}, {"version", asked.Memcached[0]}, {"kernel", asked.Kernel},
	} {
		// Of the kernel, no more than the minor version is asked for.
		if found := r.Found[v.name]; found != "" && found != v.asked && !strings.HasPrefix(found, v.asked+".") {
			return fmt.Sprintf("the run asked for %s and found %s", v.asked, found)
		}
	}
	return ""
}

// severity has the exit codes of the suite, the worst last. Those that are not
// in it are as bad as undetermined.
var severity = []int{report.ExitConformant, report.ExitLeaked, run.ExitUsage, exitNotRun, report.ExitUndetermined, report.ExitNotConformant, report.ExitInterrupted}

// worst returns the exit code that says most. What was not run is
// undetermined, if nothing worse has happened.
func worst(codes []int) int {
	rank := func(code int) int {
		if i := slices.Index(severity, code); i >= 0 {
			return i
		}
		return slices.Index(severity, report.ExitUndetermined)
	}
	highest := report.ExitConformant
	for _, code := range codes {
		if rank(code) > rank(highest) {
			highest = code
		}
	}
	if highest == exitNotRun {
		return report.ExitUndetermined
	}
	return highest
}
