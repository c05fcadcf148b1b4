package mutation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

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
	Shared      bool                    // other runs use the cluster at the same time
	Foreseen    []spec.ReqID            // requirements that will not be met
	Measures    bool                    // the specs are benchmarks
}

// Harness runs the suite on mutants.
type Harness struct {
	Declared
	Dir      string // of the matrix and the reports
	Build    Build
	Canary   string // name of a mutant that has to be killed
	Suite    Suite
	Progress io.Writer
	Pace     Pace
	Record   string          // path of a matrix that keeps the results of all builds; empty: none
	Before   report.Document // of this build on the same cluster with the manifests as they are; zero: there is none
}

// Build is the program that has the specs.
type Build struct{ Digest, Version string }

// Pace is how much runs at the same time, and for how long.
type Pace struct {
	Parallel int       // mutants, from 1; 0 stands for 1
	Until    time.Time // later no mutant is begun; zero: there is no limit
}

const reportFile = "report.yaml"

// session is one call of Harness.Run.
type session struct {
	Harness
	temp, plain string // directories; the latter has the manifests as they are
	ids         map[string]identity
	total       int // mutants

	mu       sync.Mutex
	matrix   Matrix
	recorded Matrix
	ended    int
	proving  map[string]chan struct{} // specs that run on the manifests, by id; closed at their end
	err      error                    // of writing the matrix
}

// Run runs specs on the canary and then on the chosen mutants, several at the same time, and equivalents in batches.
// Before a spec runs on a mutant for the first time, it has to pass on the manifests as they are. Results that the directory has from earlier are kept unless mutant or program
// have changed. The matrix is written after each mutant.
func (h Harness) Run(ctx context.Context, chosen []mutant.Mutant) (Matrix, error) {
	s := &session{Harness: h, proving: map[string]chan struct{}{}}
	var err error
	if s.temp, err = os.MkdirTemp("", "mutants-"); err != nil {
		return Matrix{}, err
	}
	defer os.RemoveAll(s.temp)
	s.plain = filepath.Join(s.temp, "manifests")
	if err := os.CopyFS(s.plain, h.Manifests); err != nil {
		return Matrix{}, fmt.Errorf("copy the manifests: %w", err)
	}
	if s.ids, err = h.identities(); err != nil {
		return Matrix{}, err
	}
	if err := s.read(); err != nil {
		return Matrix{}, err
	}
	i := slices.IndexFunc(h.Mutants, func(m mutant.Mutant) bool { return m.Name == h.Canary })
	if i < 0 {
		return Matrix{}, fmt.Errorf("there is no mutant %q to be the canary", h.Canary)
	}
	// Chosen or not, the canary comes first.
	canary := h.Mutants[i]
	others := slices.DeleteFunc(slices.Clone(chosen), func(m mutant.Mutant) bool { return m.Name == h.Canary || s.known(m) })
	s.total = len(others) + 1
	jobs, err := s.jobs(others)
	if err != nil {
		return Matrix{}, err
	}
	s.canary(ctx, canary)
	s.runAll(ctx, jobs)
	return s.matrix, errors.Join(s.err, s.write())
}

// known reports whether there is a result of the mutant that need not be seen again.
func (s *session) known(m mutant.Mutant) bool {
	r, found := s.matrix.find(m.Name)
	return found && r.State != Undetermined && r.State != Invalid
}

func (s *session) canary(ctx context.Context, m mutant.Mutant) {
	l := lane{dir: filepath.Join(s.temp, "canary")}
	if s.known(m) {
		s.ended++
	} else if s.baseline(ctx, m.Specs(), l) {
		s.put(ctx, s.single(ctx, m, l))
	}
	if ctx.Err() != nil || s.matrix.Void != "" {
		return
	}
	if r, _ := s.matrix.find(m.Name); r.State != Killed {
		s.matrix.Void = fmt.Sprintf("the canary %s is %s: %s", m.Name, r.State, r.Reason)
	}
}

// put takes over results of mutants, but for those that an interrupt has cut short.
func (s *session) put(ctx context.Context, results ...Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	for _, r := range results {
		s.matrix.put(r)
		s.ended++
		fmt.Fprintf(s.Progress, "mutant   %d of %d: %s: %s in %.0f s: %s\n", s.ended, s.total, r.Mutant, r.State, r.Seconds, r.Reason)
		for _, other := range r.Together {
			fmt.Fprintf(s.Progress, "together %s is rejected with %s, and each is accepted without the other\n", r.Mutant, other)
		}
	}
	s.err = errors.Join(s.err, s.write(), s.record(results))
}

// baseline runs those of some specs on the manifests as they are that have not passed there yet, neither here nor before,
// and waits for those that another lane runs. It reports whether all have passed; otherwise the run is void.
func (s *session) baseline(ctx context.Context, ids []string, l lane) bool {
	for s.continues(ctx) {
		mine, others, all := s.claim(ids)
		switch {
		case all:
			return true
		case len(mine) > 0:
			doc, took, err := s.suite(ctx, mine, Run{Report: filepath.Join("baseline", mine[0]), Deployments: deployments(s.plain), Shared: l.shared})
			s.proved(ctx, mine, doc, took, err)
		default:
			<-others
		}
	}
	return false
}

// claim returns those of some specs that are to run on the manifests, else what is closed when another lane has run one of
// them; all is set when all have passed.
func (s *session) claim(ids []string) (mine []string, others <-chan struct{}, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.matrix.Baseline
	all = true
	for _, id := range ids {
		if slices.Contains(b.Passed, id) || slices.Contains(b.NotApplicable, id) || b.add(id, outcome(s.Before, id)) {
			continue
		}
		all = false
		if ended, runs := s.proving[id]; runs {
			others = ended
		} else {
			mine = append(mine, id)
		}
	}
	ended := make(chan struct{})
	for _, id := range mine {
		s.proving[id] = ended
	}
	return mine, others, all
}

// proved takes over how specs have ended on the manifests.
func (s *session) proved(ctx context.Context, ids []string, doc report.Document, took time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.proving[ids[0]])
	for _, id := range ids {
		delete(s.proving, id)
	}
	if ctx.Err() != nil {
		return
	}
	s.matrix.Baseline.Seconds += took.Seconds()
	said := "passed"
	for _, id := range ids {
		switch o := outcome(doc, id); {
		case err != nil:
			s.matrix.Void = "the baseline did not run: " + oneline.Of(err.Error())
		case !s.matrix.Baseline.add(id, o):
			s.matrix.Void = "the baseline has to pass: " + unclear(id, o)
		}
		said = cmp.Or(s.matrix.Void, said)
	}
	fmt.Fprintf(s.Progress, "baseline %s in %.0f s: %s\n", strings.Join(ids, ", "), took.Seconds(), said)
}

// add notes how a spec has ended, and reports whether that is good enough for a baseline.
func (b *Baseline) add(id string, s report.SpecResult) bool {
	switch s.Outcome {
	case spec.Passed:
		b.Passed = append(b.Passed, id)
	case spec.NotApplicable:
		b.NotApplicable = append(b.NotApplicable, id)
	default:
		return false
	}
	return true
}

func outcome(doc report.Document, id string) report.SpecResult {
	for _, s := range doc.Specs {
		if s.ID == id {
			return s
		}
	}
	return report.SpecResult{}
}

// single runs the specs on one mutant.
func (s *session) single(ctx context.Context, m mutant.Mutant, l lane) Result {
	r := s.newResult(m)
	r.Report = filepath.Join("mutants", m.Name)
	fail := func(state State, err error) Result {
		r.State, r.Reason = state, oneline.Of(err.Error())
		return r
	}
	where := deployments(s.plain)
	switch {
	case m.Overlay != "":
		where[m.Mode] = filepath.Join(s.Checkout, m.Overlay)
	case m.Driver == "":
		if err := os.RemoveAll(l.dir); err != nil {
			return fail(Invalid, err)
		}
		var err error
		if where[m.Mode], err = m.Edit.Write(s.Manifests, m.Mode, l.dir); err != nil {
			return fail(Invalid, err)
		}
	}
	if m.Driver == "" {
		if err := differs(where[m.Mode], deployments(s.plain)[m.Mode]); err != nil {
			return fail(Invalid, err)
		}
	}
	doc, took, err := s.suite(ctx, m.Specs(), Run{Report: r.Report, Deployments: where, Driver: m.Driver, Shared: l.shared, Foreseen: m.Violates()})
	r.Seconds = took.Round(100 * time.Millisecond).Seconds()
	if err != nil {
		return fail(Undetermined, err)
	}
	r.judge(m, doc)
	return r
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
func (h Harness) suite(ctx context.Context, ids []string, r Run) (report.Document, time.Duration, error) {
	start := time.Now()
	r.Report = filepath.Join(h.Dir, r.Report)
	if err := os.RemoveAll(r.Report); err != nil {
		return report.Document{}, 0, fmt.Errorf("remove the earlier report: %w", err)
	}
	quoted := make([]string, len(ids))
	for i, id := range ids {
		quoted[i] = regexp.QuoteMeta(id)
	}
	r.Measures = len(h.Catalogue.Measuring(ids)) > 0
	r.Focus = "^(" + strings.Join(quoted, "|") + ")$"
	err := h.Suite(ctx, r)
	took := time.Since(start)
	if err != nil {
		return report.Document{}, took, err
	}
	text, err := os.ReadFile(filepath.Join(r.Report, reportFile))
	if err != nil {
		return report.Document{}, took, fmt.Errorf("the suite wrote no report: %w", err)
	}
	doc, err := report.Decode(reportFile, text)
	if err == nil && doc.Run.Interrupted {
		err = errors.New("the suite was interrupted")
	}
	return doc, took, err
}
