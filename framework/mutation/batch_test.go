package mutation

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/manifests"
)

// TestSplit has batches of eight equivalents, some of which a spec does not accept, by themselves or with others.
func TestSplit(t *testing.T) {
	var members []mutant.Mutant
	for _, name := range strings.Split("abcdefgh", "") {
		members = append(members, mutant.Mutant{Name: name, Mode: spec.Ephemeral, Equivalent: "yes", By: []string{"EPH-01", "EPH-03"}})
	}
	for _, tt := range []struct {
		name     string
		rejected []string // sets of members
		state    State    // of a batch with such a set
		runs     int
		want     map[string]State
		together string
	}{
		{"none", nil, FalseAlarm, 1, nil, ""},
		{"one", []string{"c"}, FalseAlarm, 1 + 2*3, map[string]State{"c": FalseAlarm}, ""},
		{"two", []string{"a", "h"}, FalseAlarm, 3 + 4 + 4, map[string]State{"a": FalseAlarm, "h": FalseAlarm}, ""},
		{"a pair", []string{"bg"}, FalseAlarm, 3 + 3 + 3, nil, "b+g g+b"},
		{"one that is undetermined", []string{"f"}, Undetermined, 1 + 2*3, map[string]State{"f": Undetermined}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &splitting{results: map[string]*Result{}, continues: func() bool { return true }}
			for _, m := range members {
				b.results[m.Name] = &Result{Mutant: m.Name, State: Accepted}
			}
			runs := 0
			b.run = func(members []mutant.Mutant, ids []string) trial {
				runs++
				if runs > 1 && !slices.Equal(ids, []string{"EPH-03"}) {
					t.Errorf("run %d has %q, though EPH-01 has accepted all", runs, ids)
				}
				has := func(name string) bool {
					return slices.ContainsFunc(members, func(m mutant.Mutant) bool { return m.Name == name })
				}
				for _, set := range tt.rejected {
					if !slices.ContainsFunc(strings.Split(set, ""), func(name string) bool { return !has(name) }) {
						return trial{Result{State: tt.state, Reason: "EPH-03: no", Seconds: 8}, []string{"EPH-03"}}
					}
				}
				return trial{Result{State: Accepted, Seconds: 8}, nil}
			}
			if b.split(members, []string{"EPH-01", "EPH-03"}) != (tt.rejected == nil) {
				t.Error("split says the opposite")
			}
			if tt.runs < runs {
				t.Errorf("the suite ran %d times, want %d at most", runs, tt.runs)
			}
			together := ""
			for _, name := range slices.Sorted(maps.Keys(b.results)) {
				r, want := b.results[name], Accepted
				if other, bad := tt.want[name]; bad {
					want = other
				}
				if r.State != want {
					t.Errorf("%s is %s, want %s", name, r.State, want)
				}
				for _, other := range r.Together {
					together += fmt.Sprintf(" %s+%s", name, other)
				}
			}
			if strings.TrimSpace(together) != tt.together {
				t.Errorf("rejected together are %q, want %q", together, tt.together)
			}
		})
	}
	b := &splitting{results: map[string]*Result{"a": {State: Accepted}}, continues: func() bool { return false }}
	if b.split(members[:1], nil); b.results["a"].State != "" {
		t.Errorf("after an interrupt a is %s, want no result", b.results["a"].State)
	}
}

// TestBatch runs two equivalents as one, and a third that edits the line of the first.
func TestBatch(t *testing.T) {
	for _, tt := range []struct {
		name  string
		alarm string // in a manifest that is rejected
		want  map[string]State
		runs  int
	}{
		{"accepted", "", nil, 2 + 2 + 1},
		{"one is rejected", "hostIPC", map[string]State{"second": FalseAlarm}, 2 + 2 + 1 + 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &suite{}
			s.fails = func(manifest string) map[string]spec.ReqID {
				if tt.alarm != "" && strings.Contains(manifest, tt.alarm) {
					return map[string]spec.ReqID{"EPH-03": "EPH-03"}
				}
				return right(manifest)
			}
			h := harness(t, s)
			edits, err := mutant.Edits(manifests.FS, spec.Ephemeral)
			if err != nil {
				t.Fatal(err)
			}
			h.Mutants = h.Mutants[:1]
			for name, edit := range map[string]string{"first": "manifest-set-memcached.args-v", "second": "manifest-add-hostIPC-true", "third": "manifest-set-memcached.args-t-1"} {
				e := edits[slices.IndexFunc(edits, func(e mutant.Edit) bool { return e.Name == edit })]
				h.Mutants = append(h.Mutants, mutant.Mutant{Name: name, Mode: spec.Ephemeral, Edit: e, Equivalent: "yes", By: []string{"EPH-03"}})
			}
			slices.SortFunc(h.Mutants, func(a, b mutant.Mutant) int { return strings.Compare(a.Name, b.Name) })
			m, err := h.Run(t.Context(), h.Mutants)
			if err != nil || m.Void != "" || len(s.runs) != tt.runs {
				t.Errorf("the suite ran %d times, want %d: %v %s", len(s.runs), tt.runs, err, m.Void)
			}
			for name, batch := range map[string]string{"first": "ephemeral-1 of 2", "second": "ephemeral-1 of 2", "third": ""} {
				r, _ := m.find(name)
				want := Accepted
				if bad, is := tt.want[name]; is {
					want = bad
				}
				if r.State != want || r.Batch != batch || r.Key == "" || r.Version != "v1" {
					t.Errorf("%s is %+v, want %s in %q", name, r, want, batch)
				}
			}
		})
	}
}

// TestJobs makes sure that batches come in the place of the first of their mutants, the largest first.
func TestJobs(t *testing.T) {
	all, err := mutant.Edits(manifests.FS, spec.Ephemeral)
	if err != nil {
		t.Fatal(err)
	}
	var chosen []mutant.Mutant
	for _, name := range []string{"manifest-set-memcached.args-v", "manifest-set-memcached.args-M", "manifest-set-memcached.args-t-1", "manifest-add-hostIPC-true",
		"manifest-add-minReadySeconds-3", "manifest-set-memcached.args-R-1", "manifest-set-replicas-2"} {
		m := mutant.Mutant{Name: name, Mode: spec.Ephemeral, Edit: all[slices.IndexFunc(all, func(e mutant.Edit) bool { return e.Name == name })], Equivalent: "yes", By: []string{"EPH-01"}}
		switch name {
		case "manifest-set-memcached.args-M":
			m.Equivalent, m.By, m.Rejections = "", nil, []mutant.Rejection{rejected("EPH-01", "EPH-01")}
		case "manifest-set-memcached.args-v", "manifest-add-minReadySeconds-3": // together, because of their spec
			m.By = []string{"EPH-03"}
		}
		chosen = append(chosen, m)
	}
	s := &session{Harness: Harness{Declared: Declared{Manifests: manifests.FS, Mutants: chosen}}}
	jobs, err := s.jobs(chosen)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, j := range jobs {
		got = append(got, fmt.Sprintf("%s %d", j.name, len(j.mutants)))
	}
	if want := "ephemeral-2 3, ephemeral-1 2,  1,  1"; strings.Join(got, ", ") != want {
		t.Errorf("the jobs are %q, want %q", strings.Join(got, ", "), want)
	}
	s.recorded.Results = []Result{{Mutant: "manifest-set-replicas-2", Together: []string{"manifest-add-hostIPC-true"}}}
	if jobs, err = s.jobs(chosen); err != nil || slices.ContainsFunc(jobs, func(j job) bool { return j.has(chosen[3]) && j.has(chosen[6]) }) {
		t.Errorf("two that are rejected together are in one batch: %+v, %v", jobs, err)
	}
}

// TestLanes runs mutants next to each other, but for those whose specs run alone, and begins none after the limit.
func TestLanes(t *testing.T) {
	s := &suite{fails: right}
	h := harness(t, s)
	h.Pace.Parallel = 3
	h.Catalogue.Specs = slices.Clone(h.Catalogue.Specs)
	h.Catalogue.Specs[1].Alone = true // EPH-03, which the mutant needs
	shared := map[string]bool{}
	h.Suite = func(ctx context.Context, r Run) error {
		s.mu.Lock()
		shared[strings.TrimPrefix(r.Report, h.Dir+"/")] = r.Shared
		s.mu.Unlock()
		return s.run(ctx, r)
	}
	m, err := h.Run(t.Context(), h.Mutants)
	want := map[string]bool{"baseline/EPH-01": false, "mutants/canary": false, "mutants/equivalent": true, "baseline/EPH-03": false, "mutants/mutant": false}
	if err != nil || m.ExitCode(h.Mutants, false) != ExitGood || !maps.Equal(shared, want) {
		t.Errorf("shared are %v, want %v: %v", shared, want, err)
	}

	h = harness(t, s)
	h.Pace.Until = time.Now().Add(-time.Second)
	h.Record = filepath.Join(t.TempDir(), "record.yaml")
	if m, err = h.Run(t.Context(), h.Mutants); err != nil || len(m.Results) != 0 || m.ExitCode(h.Mutants, true) != ExitVoid {
		t.Errorf("without time %d results and exit code %d: %v", len(m.Results), m.ExitCode(h.Mutants, true), err)
	}
}

// TestRecord makes sure that results are kept over builds as long as the mutant stays the same, and that the record says
// what to run first.
func TestRecord(t *testing.T) {
	s := &suite{fails: right}
	h := harness(t, s)
	h.Record = filepath.Join(t.TempDir(), "record.yaml")
	if _, err := h.Run(t.Context(), h.Mutants[1:2]); err != nil {
		t.Fatal(err)
	}
	recorded, err := h.ReadFile(h.Record)
	if err != nil || !recorded.Good("mutant", time.Minute) || !recorded.Good("canary", time.Minute) || recorded.Good("equivalent", time.Minute) {
		t.Errorf("the record is %+v, %v", recorded.Results, err)
	}
	names := func(m Matrix) string {
		var names []string
		for _, x := range h.Order(m) {
			names = append(names, x.Name)
		}
		return strings.Join(names, " ")
	}
	if got := names(recorded); got != "equivalent canary mutant" {
		t.Errorf("the order is %s", got)
	}
	if got := names(Matrix{}); got != "canary mutant equivalent" {
		t.Errorf("without a record the order is %s", got)
	}
	h.Build, h.Dir = Build{"q", "v2"}, t.TempDir()
	if _, err := h.Run(t.Context(), h.Mutants[2:]); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	if recorded, err = h.ReadFile(h.Record); err != nil {
		t.Fatal(err)
	}
	for _, r := range recorded.Results {
		versions[r.Mutant] = r.Version
		if r.Report != "" {
			t.Errorf("the record has the directory %s of one machine", r.Report)
		}
	}
	if want := map[string]string{"canary": "v2", "equivalent": "v2", "mutant": "v1"}; !maps.Equal(versions, want) {
		t.Errorf("the record has %v, want %v", versions, want)
	}
	plain := h.Manifests
	h.Manifests = changed(t, plain, "components/wrapper/memcached-wrapper.sh")
	if recorded, err = h.ReadFile(h.Record); err != nil || !recorded.Good("mutant", time.Minute) || recorded.Fresh("mutant") {
		t.Errorf("on changed manifests the record is %+v, %v", recorded.Results, err)
	}
	if proof, err := h.Proof(recorded); err != nil || proof.String() != "2 of 2 mutants killed, 1 of 1 equivalents accepted, 3 of these on earlier manifests" {
		t.Errorf("on changed manifests the score is %s, %v", proof, err)
	}
	h.Manifests = plain
	if recorded, err = h.ReadFile(h.Record); err != nil || !recorded.Fresh("mutant") {
		t.Errorf("on the manifests as they were the record is %+v, %v", recorded.Results, err)
	}
	h.Mutants[1].Rejections[0].With = "other words"
	if recorded, err = h.ReadFile(h.Record); err != nil || !recorded.Good("mutant", time.Minute) {
		t.Errorf("the result of a mutant does not count any more whose words have changed: %v", err)
	}
	h.Mutants[1].Rejections[0].Violates = []spec.ReqID{"EPH-01"}
	if recorded, err = h.ReadFile(h.Record); err != nil || recorded.Good("mutant", time.Minute) {
		t.Errorf("the result of a mutant that has changed counts: %v", err)
	}
}

// changed is a filesystem with another line in one of its files.
func changed(t *testing.T, files fs.FS, name string) fs.FS {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, "# changed\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	return os.DirFS(dir)
}

// TestBefore makes sure that specs do not run on the manifests again that have passed there in the main job.
func TestBefore(t *testing.T) {
	s := &suite{fails: right}
	h := harness(t, s)
	h.Before.Specs = []report.SpecResult{{ID: "EPH-01", Outcome: spec.Passed}, {ID: "EPH-03", Outcome: spec.Failed}}
	if m, err := h.Run(t.Context(), h.Mutants); err != nil || m.Void != "" || len(s.runs) != 4 {
		t.Errorf("the suite ran %d times, want once on the manifests and three times on mutants: %v %s", len(s.runs), err, m.Void)
	}
}
