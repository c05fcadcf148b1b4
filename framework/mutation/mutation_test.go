package mutation

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"

	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/manifests"
)

func rejected(by string, reqs ...spec.ReqID) mutant.Rejection {
	return mutant.Rejection{By: []string{by}, Violates: reqs}
}

func TestUnsaid(t *testing.T) {
	r := Result{By: []Kill{{"A", "REQ-1", "every key has its value", true}, {"B", "REQ-2", "the item is there", true}}}
	for with, want := range map[string]string{
		"": "", "REQ-1 every key": "", "REQ-1 every …; REQ-1 key has its value, with two nodes": "",
		"REQ-2 the item is there": "REQ-2 the item is there", "REQ-1 no key; REQ-1 every key": "REQ-1 no key",
	} {
		if got := strings.Join(r.unsaid(mutant.Rejection{By: []string{"A"}, With: with}), "; "); got != want {
			t.Errorf("of %q unsaid is %q, want %q", with, got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	fail := func(id string, reqs ...spec.ReqID) report.SpecResult {
		s := report.SpecResult{ID: id, Outcome: spec.Failed}
		for _, req := range reqs {
			s.Failures = append(s.Failures, report.Failure{Requirement: req, Check: "it holds"})
		}
		return s
	}
	ended := func(id string, o spec.Outcome) report.SpecResult {
		return report.SpecResult{ID: id, Outcome: o, Reason: "so"}
	}
	one := []mutant.Rejection{rejected("A", "REQ-1")}
	two := []mutant.Rejection{rejected("A", "REQ-1"), rejected("B", "REQ-2")}
	for _, tt := range []struct {
		name       string
		rejections []mutant.Rejection
		specs      []report.SpecResult
		want       State
		reason     string
	}{
		{"the named one", one, []report.SpecResult{fail("A", "REQ-1")}, Killed, "A: REQ-1 it holds"},
		{"among others", one, []report.SpecResult{fail("A", "REQ-7", "REQ-1")}, Killed, "A: REQ-1 it holds"},
		{"passed", one, []report.SpecResult{ended("A", spec.Passed)}, Survived, "nothing names REQ-1: A passed"},
		{"another requirement", one, []report.SpecResult{fail("A", "REQ-7")}, WrongReason, `nothing names REQ-1: A failed; A failed for REQ-7 "it holds"`},
		{"undetermined", one, []report.SpecResult{ended("A", spec.Undetermined)}, Undetermined, "A is undetermined: so"},
		{"not run", one, []report.SpecResult{ended("A", spec.NotRun)}, Undetermined, "A is not run: so"},
		{"leaked", one, []report.SpecResult{ended("A", spec.Leaked)}, Undetermined, "A is leaked: so"},
		{"not in the report", one, nil, Undetermined, "A is not in the report"},
		{"inapplicable", one, []report.SpecResult{ended("A", spec.NotApplicable)}, Undetermined, "none of its specs applies"},
		{"an undetermined spec with the right failure", one, []report.SpecResult{{ID: "A", Outcome: spec.Undetermined, Failures: fail("A", "REQ-1").Failures}}, Undetermined, ""},
		{"one of two", two, []report.SpecResult{fail("A", "REQ-1"), ended("B", spec.Passed)}, Survived, "nothing names REQ-2: B passed"},
		{"one of two applies", two, []report.SpecResult{fail("A", "REQ-1"), ended("B", spec.NotApplicable)}, Killed, ""},
		{"by another spec", two, []report.SpecResult{fail("A", "REQ-2"), fail("B", "REQ-1")}, WrongReason, ""},
		{"equivalent", nil, []report.SpecResult{ended("A", spec.Passed)}, Accepted, "A passed"},
		{"equivalent that fails", nil, []report.SpecResult{fail("A", "REQ-1")}, FalseAlarm, `A: REQ-1 is not met: "it holds"`},
		{"equivalent that leaks", nil, []report.SpecResult{ended("A", spec.Leaked)}, Undetermined, ""},
		{"equivalent that does not run", nil, nil, Undetermined, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mutant.Mutant{Name: "m", Rejections: tt.rejections}
			if tt.rejections == nil {
				m.By, m.Equivalent = []string{"A"}, "nobody sees it"
			}
			r := (&session{}).newResult(m)
			r.judge(m, report.Document{Specs: tt.specs})
			if r.State != tt.want || !strings.Contains(r.Reason, tt.reason) {
				t.Errorf("it is %s: %s; want %s: %s", r.State, r.Reason, tt.want, tt.reason)
			}
		})
	}
}

// suite is one whose specs fail for a requirement on some deployments.
type suite struct {
	t     *testing.T
	fails func(manifest string) map[string]spec.ReqID // by spec
	err   error
	mu    sync.Mutex
	runs  []string // the focus of each
}

func (s *suite) run(_ context.Context, r Run) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = append(s.runs, r.Focus)
	if s.err != nil {
		return s.err
	}
	text, err := os.ReadFile(filepath.Join(r.Deployments[spec.Ephemeral], "memcached-ephemeral.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	doc := report.Document{Schema: report.Schema}
	for _, id := range []string{"EPH-01", "EPH-03"} {
		if !regexp.MustCompile(r.Focus).MatchString(id) {
			continue
		}
		result := report.SpecResult{ID: id, Profile: spec.Ephemeral, Outcome: spec.Passed}
		if req, fails := s.fails(string(text))[id]; fails {
			result.Outcome, result.Failures = spec.Failed, []report.Failure{{Requirement: req, Check: "it holds"}}
		}
		doc.Specs = append(doc.Specs, result)
	}
	out, err := report.Encode(doc)
	if err != nil {
		s.t.Fatal(err)
	}
	return report.WriteFiles(r.Report, map[string][]byte{reportFile: out})
}

var catalogue = spec.Catalogue{
	Requirements: []spec.Requirement{{ID: "EPH-01", Profiles: []spec.Profile{spec.Ephemeral}}, {ID: "EPH-03", Profiles: []spec.Profile{spec.Ephemeral}}},
	Specs: []spec.Spec{
		{ID: "EPH-01", Profile: spec.Ephemeral, Covers: []spec.ReqID{"EPH-01"}},
		{ID: "EPH-03", Profile: spec.Ephemeral, Covers: []spec.ReqID{"EPH-03"}},
	},
}

// harness has a canary that EPH-01 kills, a mutant that EPH-03 has to kill, and an equivalent.
func harness(t *testing.T, s *suite) Harness {
	t.Helper()
	edits, err := mutant.Edits(manifests.FS, spec.Ephemeral)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(name string) mutant.Edit {
		i := slices.IndexFunc(edits, func(e mutant.Edit) bool { return e.Name == name })
		if i < 0 {
			t.Fatalf("there is no edit %s", name)
		}
		return edits[i]
	}
	s.t = t
	return Harness{
		Dir: t.TempDir(), Build: Build{"p", "v1"}, Canary: "canary", Suite: s.run, Progress: t.Output(),
		Declared: Declared{Manifests: manifests.FS, Catalogue: catalogue, Mutants: []mutant.Mutant{
			{Name: "canary", Mode: spec.Ephemeral, Edit: edit("manifest-set-memcached.args-U-11211"), Rejections: []mutant.Rejection{rejected("EPH-01", "EPH-01")}},
			{Name: "mutant", Mode: spec.Ephemeral, Edit: edit("manifest-set-memcached.args-m-64"), Rejections: []mutant.Rejection{rejected("EPH-03", "EPH-03")}},
			{Name: "equivalent", Mode: spec.Ephemeral, Edit: edit("manifest-set-memcached.args-v"), Equivalent: "<nobody> sees it", By: []string{"EPH-01"}},
		}},
	}
}

// right is a suite that is as it should be.
func right(manifest string) map[string]spec.ReqID {
	switch {
	case strings.Contains(manifest, "-U 11211"):
		return map[string]spec.ReqID{"EPH-01": "EPH-01"}
	case strings.Contains(manifest, "-m 64"):
		return map[string]spec.ReqID{"EPH-03": "EPH-03"}
	}
	return nil
}

func TestHarness(t *testing.T) {
	s := &suite{fails: right}
	h := harness(t, s)
	m, err := h.Run(t.Context(), h.Mutants)
	if err != nil {
		t.Fatal(err)
	}
	if score := m.Score(); score != "2 of 2 mutants killed, 1 of 1 equivalents accepted" {
		t.Errorf("the score is %q: %+v", score, m.Results)
	}
	if code := m.ExitCode(h.Mutants, false); code != 0 {
		t.Errorf("the exit code is %d", code)
	}
	if len(s.runs) != 5 {
		t.Errorf("the suite ran %d times for two specs on the manifests and for three mutants: %q", len(s.runs), s.runs)
	}
	v := h.view(m)
	for _, r := range v.run() {
		if r.Killed() != 1 || len(r.Proved) != 1 {
			t.Errorf("%s: killed %d, proved by %q", r.Requirement, r.Killed(), r.Proved)
		}
	}
	if without, blunt := v.idle(); len(without)+len(blunt) != 0 {
		t.Errorf("no mutant is for %q, and %q have killed none", without, blunt)
	}
	v.mutants = v.mutants[:1]
	v.Results = slices.DeleteFunc(slices.Clone(m.Results), func(r Result) bool { return r.Mutant == "canary" })
	v.Results[1].State = Survived
	without, blunt := v.idle()
	none, _ := v.unviolated()
	if !slices.Equal(without, []string{"EPH-03"}) || len(blunt) != 0 || !slices.Equal(none, []string{"EPH-03 ephemeral"}) {
		t.Errorf("without the mutant no mutant is for %q, %q have killed none, and %q is not violated", without, blunt, none)
	}

	if again, err := h.Run(t.Context(), h.Mutants); err != nil || len(s.runs) != 5 || again.Score() != m.Score() {
		t.Errorf("what has run ran again: %q, %v", s.runs, err)
	}
	h.Mutants[1].Rejections[0].By = []string{"EPH-01"}
	if _, err := h.Run(t.Context(), h.Mutants); err != nil || len(s.runs) != 6 {
		t.Errorf("a mutant that was declared otherwise has to run again: %q, %v", s.runs, err)
	}
	h.Build.Digest = "q"
	if _, err := h.Run(t.Context(), h.Mutants); err != nil || len(s.runs) != 10 {
		t.Errorf("all has to run again with another program: %q, %v", s.runs, err)
	}
	for name, want := range map[string]string{"mutation.md": `&lt;nobody&gt;`, "mutation.html": "&lt;nobody&gt;"} {
		if text, err := os.ReadFile(filepath.Join(h.Dir, name)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %q: %v", name, want, err)
		}
	}
}

func TestBad(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fails func(string) map[string]spec.ReqID
		state State
		code  int
	}{
		{"survivor", func(m string) map[string]spec.ReqID {
			if strings.Contains(m, "-m 64") {
				return nil
			}
			return right(m)
		}, Survived, ExitBad},
		{"false alarm", func(m string) map[string]spec.ReqID {
			if strings.Contains(m, `"-v"`) || strings.Contains(m, "value: -v") {
				return map[string]spec.ReqID{"EPH-01": "EPH-01"}
			}
			return right(m)
		}, FalseAlarm, ExitBad},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := harness(t, &suite{fails: tt.fails})
			m, err := h.Run(t.Context(), h.Mutants)
			if err != nil || m.Count(tt.state) != 1 || m.ExitCode(h.Mutants, false) != tt.code {
				t.Errorf("%d are %s, exit code %d, want %d: %v", m.Count(tt.state), tt.state, m.ExitCode(h.Mutants, false), tt.code, err)
			}
		})
	}
}

func TestVoid(t *testing.T) {
	blind := func(string) map[string]spec.ReqID { return nil }
	alarmed := func(string) map[string]spec.ReqID { return map[string]spec.ReqID{"EPH-01": "EPH-01"} }
	for _, tt := range []struct {
		name  string
		suite *suite
		want  string
	}{
		{"the canary survives", &suite{fails: blind}, "the canary canary is survived"},
		{"the baseline fails", &suite{fails: alarmed}, "the baseline has to pass: EPH-01 is failed"},
		{"the suite crashes", &suite{err: errors.New("the suite was ended by killed")}, "the baseline did not run"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := harness(t, tt.suite)
			m, err := h.Run(t.Context(), h.Mutants)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(m.Score(), "VOID") || !strings.Contains(m.Void, tt.want) || m.ExitCode(h.Mutants, false) != ExitVoid {
				t.Errorf("%q with exit code %d, want VOID because %q", m.Score(), m.ExitCode(h.Mutants, false), tt.want)
			}
			if _, ran := m.find("mutant"); ran {
				t.Error("a mutant ran nevertheless")
			}
		})
	}
}

func TestInvalid(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
	}{
		{"broken", "resources: [absent.yaml]\n", "does not render"},
		{"unchanged", "resources: [../manifests/ephemeral]\n", "renders the same objects"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &suite{fails: right}
			h := harness(t, s)
			h.Checkout = t.TempDir()
			for name, data := range map[string]string{"overlay/kustomization.yaml": tt.text} {
				path := filepath.Join(h.Checkout, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(data), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.CopyFS(filepath.Join(h.Checkout, "manifests"), manifests.FS); err != nil {
				t.Fatal(err)
			}
			h.Mutants[1].Edit, h.Mutants[1].Overlay = mutant.Edit{}, "overlay"
			m, err := h.Run(t.Context(), h.Mutants)
			if err != nil {
				t.Fatal(err)
			}
			if r, _ := m.find("mutant"); r.State != Invalid || !strings.Contains(r.Reason, tt.want) || m.ExitCode(h.Mutants, false) != ExitBad {
				t.Errorf("it is %s: %s; want an error: %s", r.State, r.Reason, tt.want)
			}
		})
	}
}

func TestUnknownSchema(t *testing.T) {
	h := harness(t, &suite{fails: right})
	if err := os.WriteFile(filepath.Join(h.Dir, matrixFile), []byte("schema: other\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "remove the file to begin from nothing") {
		t.Errorf("a file of another form is %v", err)
	}
}

// TestDecodeWhatWasPutTogether reads results of two runs in one file.
func TestDecodeWhatWasPutTogether(t *testing.T) {
	decode := func(names ...string) (Matrix, error) {
		m := Matrix{Schema: Schema}
		for _, name := range names {
			m.Results = append(m.Results, Result{Mutant: name, State: Killed})
		}
		text, err := yaml.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return Decode("m.yaml", text)
	}
	m, err := decode("b", "a")
	if _, found := m.find("a"); err != nil || !found {
		t.Errorf("%v, %v", m, err)
	}
	_, err = decode("b", "a", "b")
	if want := `m.yaml: mutant "b" has two results: remove one of them`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
