package mutation

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// Suite runs some specs on two deployments, and puts the report into a directory. It returns an error if the
// specs could not be run.
type Suite func(ctx context.Context, r Run) error

// Run is one run of the suite.
type Run struct {
	Focus       string                  // expression for the ids of the specs
	Deployments map[spec.Profile]string // directories
	Driver      string                  // lie of the driver; empty: it does not lie
	Report      string                  // directory of the report
}

// Harness runs the suite on mutants.
type Harness struct {
	Manifests fs.FS
	Checkout  string // the directory from which overlays are
	Dir       string // of the matrix and the reports
	Program   string // digest of the program that has the specs
	Catalogue spec.Catalogue
	Mutants   []mutant.Mutant // all
	Canary    string          // name of a mutant that has to be killed
	Suite     Suite
	Progress  io.Writer
}

const reportFile = "report.yaml"

// Run runs the specs on the manifests as they are and on the canary, and then on the chosen mutants. Results that the
// directory has from earlier are kept unless mutant or program have changed. The matrix is written after each mutant.
func (h Harness) Run(ctx context.Context, chosen []mutant.Mutant) (Matrix, error) {
	temp, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return Matrix{}, err
	}
	defer os.RemoveAll(temp)
	plain := filepath.Join(temp, "manifests")
	if err := os.CopyFS(plain, h.Manifests); err != nil {
		return Matrix{}, fmt.Errorf("copy the manifests: %w", err)
	}
	matrix, err := h.read()
	if err != nil {
		return Matrix{}, err
	}
	i := slices.IndexFunc(h.Mutants, func(m mutant.Mutant) bool { return m.Name == h.Canary })
	if i < 0 {
		return Matrix{}, fmt.Errorf("there is no mutant %q to be the canary", h.Canary)
	}
	canary := h.Mutants[i]
	// Chosen or not, the canary comes first.
	order := append([]mutant.Mutant{canary}, slices.DeleteFunc(slices.Clone(chosen), func(m mutant.Mutant) bool { return m.Name == h.Canary })...)

	if void := h.baseline(ctx, &matrix, plain, order); ctx.Err() == nil {
		matrix.Void = void
	}
	for n, m := range order {
		if ctx.Err() != nil || matrix.Void != "" {
			break
		}
		result, fresh := h.mutant(ctx, matrix, m, filepath.Join(temp, "mutant"), plain)
		if ctx.Err() != nil {
			break
		}
		matrix.put(result)
		if fresh {
			fmt.Fprintf(h.Progress, "mutant   %d of %d: %s: %s in %.0f s: %s\n", n+1, len(order), m.Name, result.State, result.Seconds, result.Reason)
		}
		if m.Name == h.Canary && result.State != Killed {
			matrix.Void = fmt.Sprintf("the canary %s is %s: %s", m.Name, result.State, result.Reason)
		}
		if err := h.write(matrix); err != nil {
			return matrix, err
		}
	}
	return matrix, h.write(matrix)
}

// baseline runs all specs that the mutants need on the manifests as they are. It returns why the run is void.
func (h Harness) baseline(ctx context.Context, matrix *Matrix, plain string, mutants []mutant.Mutant) string {
	var ids []string
	for _, m := range mutants {
		for _, id := range m.Specs() {
			if !slices.Contains(ids, id) && !slices.Contains(matrix.Baseline.Passed, id) && !slices.Contains(matrix.Baseline.NotApplicable, id) {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return ""
	}
	slices.Sort(ids)
	fmt.Fprintf(h.Progress, "baseline %s\n", strings.Join(ids, ", "))
	doc, took, err := h.suite(ctx, ids, "baseline", deployments(plain), "")
	if err != nil {
		return "the baseline did not run: " + oneline.Of(err.Error())
	}
	matrix.Baseline.Seconds += took.Seconds()
	void := ""
	for _, id := range ids {
		s := outcome(doc, id)
		switch s.Outcome {
		case spec.Passed:
			matrix.Baseline.Passed = append(matrix.Baseline.Passed, id)
		case spec.NotApplicable:
			matrix.Baseline.NotApplicable = append(matrix.Baseline.NotApplicable, id)
		default:
			void = "the baseline has to pass: " + unclear(id, s)
		}
	}
	return void
}

func deployments(dir string) map[spec.Profile]string {
	return map[spec.Profile]string{spec.Ephemeral: filepath.Join(dir, string(spec.Ephemeral)), spec.Persistent: filepath.Join(dir, string(spec.Persistent))}
}

func outcome(doc report.Document, id string) report.SpecResult {
	for _, s := range doc.Specs {
		if s.ID == id {
			return s
		}
	}
	return report.SpecResult{}
}

// mutant is the result of one, and whether it is a new one.
func (h Harness) mutant(ctx context.Context, matrix Matrix, m mutant.Mutant, dir, plain string) (Result, bool) {
	if before, found := matrix.find(m.Name); found && before.State != Undetermined && before.State != Invalid {
		return before, false
	}
	r := newResult(m)
	r.Report = filepath.Join("mutants", m.Name)
	fail := func(state State, err error) (Result, bool) {
		r.State, r.Reason = state, oneline.Of(err.Error())
		return r, true
	}
	where := deployments(plain)
	switch {
	case m.Overlay != "":
		where[m.Mode] = filepath.Join(h.Checkout, m.Overlay)
	case m.Driver == "":
		if err := os.RemoveAll(dir); err != nil {
			return fail(Invalid, err)
		}
		var err error
		if where[m.Mode], err = m.Edit.Write(h.Manifests, m.Mode, dir); err != nil {
			return fail(Invalid, err)
		}
	}
	if m.Driver == "" {
		if err := differs(where[m.Mode], deployments(plain)[m.Mode]); err != nil {
			return fail(Invalid, err)
		}
	}
	r.Key = h.key(m)
	doc, took, err := h.suite(ctx, m.Specs(), r.Report, where, m.Driver)
	r.Seconds = took.Round(100 * time.Millisecond).Seconds()
	if err != nil {
		return fail(Undetermined, err)
	}
	r.judge(m, doc)
	return r, true
}

// differs returns an error if two kustomizations render the same.
func differs(mutant, plain string) error {
	objects, err := rendered(mutant)
	if err != nil {
		return err
	}
	base, err := rendered(plain)
	if err != nil {
		return err
	}
	if string(objects) == string(base) {
		return errors.New("it renders the same objects as the manifests")
	}
	return nil
}

// suite runs the specs with some ids and reads their report, which is none of an earlier run.
func (h Harness) suite(ctx context.Context, ids []string, name string, deployments map[spec.Profile]string, driver string) (report.Document, time.Duration, error) {
	start := time.Now()
	dir := filepath.Join(h.Dir, name)
	if err := os.RemoveAll(dir); err != nil {
		return report.Document{}, 0, fmt.Errorf("remove the earlier report: %w", err)
	}
	quoted := make([]string, len(ids))
	for i, id := range ids {
		quoted[i] = regexp.QuoteMeta(id)
	}
	err := h.Suite(ctx, Run{Focus: "^(" + strings.Join(quoted, "|") + ")$", Deployments: deployments, Driver: driver, Report: dir})
	took := time.Since(start)
	if err != nil {
		return report.Document{}, took, err
	}
	text, err := os.ReadFile(filepath.Join(dir, reportFile))
	if err != nil {
		return report.Document{}, took, fmt.Errorf("the suite wrote no report: %w", err)
	}
	doc, err := report.Decode(reportFile, text)
	if err == nil && doc.Run.Interrupted {
		err = errors.New("the suite was interrupted")
	}
	return doc, took, err
}

// key is a digest of the program, which has the specs and the manifests, and of a mutant.
func (h Harness) key(m mutant.Mutant) string {
	change := m.Edit.Text()
	if m.Overlay != "" {
		objects, err := rendered(filepath.Join(h.Checkout, m.Overlay))
		if err != nil {
			return ""
		}
		change = string(objects)
	}
	return digest(h.Program, change, fmt.Sprint(m.Mode, m.Driver, m.Rejections, m.By))
}

func digest(parts ...string) string {
	text, _ := json.Marshal(parts) // keeps the parts apart, and strings have no errors
	return fmt.Sprintf("%x", sha256.Sum256(text))[:16]
}

func rendered(dir string) ([]byte, error) {
	m, err := deploy.Load(dir, deploy.Changes{})
	if err != nil {
		return nil, err
	}
	return json.Marshal(m.Objects)
}
