package mutation

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/spec"
)

// batches puts the equivalents that are edits of different places into as few batches as it finds. Each gets the first
// batch of its mode that it fits into and whose specs are its own anyway; if there is none, the first that it fits into.
// Two that are recorded to be rejected together do not fit.
func (s *session) batches(mutants []mutant.Mutant) ([]job, error) {
	var batches []job
	places := map[string]mutant.Place{}
	for _, m := range s.Mutants { // in the order of the declarations, which has those together that the same specs see
		if !slices.ContainsFunc(mutants, func(o mutant.Mutant) bool { return o.Name == m.Name }) {
			continue
		}
		if m.Equivalent == "" || m.Overlay != "" || m.Driver != "" || m.Lies() {
			continue
		}
		place, err := m.Edit.Place(s.Manifests)
		if err != nil {
			return nil, fmt.Errorf("find what mutant %s changes: %w", m.Name, err)
		}
		places[m.Name] = place
		apart, _ := s.recorded.find(m.Name) // from those with which it is known to be rejected
		fits := func(b job) bool {
			return m.Mode == b.mutants[0].Mode && !slices.ContainsFunc(b.mutants, func(o mutant.Mutant) bool {
				return place.Meets(places[o.Name]) || slices.Contains(apart.Together, o.Name)
			})
		}
		i := slices.IndexFunc(batches, func(b job) bool { return fits(b) && within(m.Specs(), specsOf(b.mutants)) })
		if i < 0 {
			i = slices.IndexFunc(batches, fits)
		}
		if i < 0 {
			batches = append(batches, job{})
			i = len(batches) - 1
		}
		batches[i].mutants = append(batches[i].mutants, m)
	}
	batches = slices.DeleteFunc(batches, func(b job) bool { return len(b.mutants) == 1 })
	number := map[spec.Profile]int{}
	for i, b := range batches {
		mode := b.mutants[0].Mode
		number[mode]++
		batches[i].name = fmt.Sprintf("%s-%d", mode, number[mode])
	}
	return batches, nil
}

func within(ids, of []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(of, id) })
}

func specsOf(mutants []mutant.Mutant) []string {
	var ids []string
	for _, m := range mutants {
		ids = append(ids, m.Specs()...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// batch runs the specs on a deployment with all edits of a job. If they reject it, they run on each half, and so on,
// until the edits are found that they reject by themselves, or in pairs.
func (s *session) batch(ctx context.Context, j job, l lane) []Result {
	b := &splitting{results: map[string]*Result{}}
	for _, m := range j.mutants {
		r := s.newResult(m)
		r.Batch = fmt.Sprintf("%s of %d", j.name, len(j.mutants))
		r.State, r.Reason = Accepted, "in a batch of "+fmt.Sprint(len(j.mutants))
		b.results[m.Name] = &r
	}
	b.run = func(members []mutant.Mutant, ids []string) trial {
		b.runs++
		name := j.name
		if b.runs > 1 {
			name = fmt.Sprintf("%s-part-%d", j.name, b.runs)
		}
		fmt.Fprintf(s.Progress, "batch    %s: %d equivalents, %s\n", name, len(members), strings.Join(ids, ", "))
		t := s.trial(ctx, members, ids, filepath.Join("batches", name), l)
		if t.State != Accepted {
			fmt.Fprintf(s.Progress, "batch    %s: %s in %.0f s: %s\n", name, t.State, t.Seconds, t.Reason)
		}
		return t
	}
	b.continues = func() bool { return s.continues(ctx) }
	b.split(j.mutants, specsOf(j.mutants))
	var results []Result
	for _, m := range j.mutants {
		if r := b.results[m.Name]; r.State != "" {
			results = append(results, *r)
		}
	}
	return results
}

// trial is the result of a deployment with several edits that are equivalent.
type trial struct {
	Result
	open []string // specs that did not accept it
}

func (s *session) trial(ctx context.Context, members []mutant.Mutant, ids []string, dir string, l lane) trial {
	all := mutant.Mutant{Mode: members[0].Mode, By: ids, Equivalent: "each of its edits is"}
	t := trial{Result: s.newResult(all), open: ids}
	t.Report = dir
	fail := func(state State, err error) trial {
		t.State, t.Reason = state, oneline.Of(err.Error())
		return t
	}
	where := deployments(s.plain)
	var err error
	if where[all.Mode], err = s.assemble(members, l.dir); err != nil {
		return fail(Invalid, err)
	}
	doc, took, err := s.suite(ctx, ids, Run{Report: dir, Deployments: where, Shared: l.shared})
	t.Seconds = took.Round(100 * time.Millisecond).Seconds()
	if err != nil {
		return fail(Undetermined, err)
	}
	t.judge(all, doc)
	t.open = slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		o := outcome(doc, id).Outcome
		return o == spec.Passed || o == spec.NotApplicable
	})
	return t
}

// assemble makes a deployment with the edits of all members, each of which changes what is rendered.
func (s *session) assemble(members []mutant.Mutant, dir string) (string, error) {
	mode := members[0].Mode
	render := func(members []mutant.Mutant) (where, objects string, err error) {
		if err := os.RemoveAll(dir); err != nil {
			return "", "", err
		}
		var edits []mutant.Edit
		for _, m := range members {
			edits = append(edits, m.Edit)
		}
		if where, err = mutant.WriteAll(edits, s.Manifests, mode, dir); err != nil {
			return "", "", err
		}
		text, err := rendered(where)
		return where, string(text), err
	}
	_, whole, err := render(members)
	if err != nil {
		return "", err
	}
	for i := range members {
		if _, without, err := render(slices.Delete(slices.Clone(members), i, i+1)); err == nil && without == whole {
			return "", fmt.Errorf("%s changes nothing in a deployment with the other edits of the batch", members[i].Name)
		}
	}
	where, _, err := render(members)
	return where, err
}

// splitting looks for the edits of a batch that are rejected.
type splitting struct {
	run       func(members []mutant.Mutant, ids []string) trial
	continues func() bool
	runs      int
	results   map[string]*Result // by mutant; all are Accepted at first
}

// split reports whether the specs accept all members.
func (b *splitting) split(members []mutant.Mutant, ids []string) bool {
	if !b.continues() {
		b.forget(members)
		return false
	}
	t := b.run(members, ids)
	for _, m := range members {
		r := b.results[m.Name]
		r.Seconds += t.Seconds / float64(len(members))
		r.Report = t.Report
		for _, id := range ids {
			if !slices.Contains(r.Specs, id) {
				r.Specs = append(r.Specs, id)
			}
		}
	}
	switch {
	case t.State == Accepted:
		return true
	case len(members) == 1:
		r := b.results[members[0].Name]
		r.State, r.Reason, r.By, r.Checks = t.State, t.Reason, t.By, t.Checks
		return false
	}
	left, right := members[:len(members)/2], members[len(members)/2:]
	// What has accepted all of them together need not see them again.
	l, r := b.split(left, t.open), b.split(right, t.open)
	if l && r && t.State == FalseAlarm {
		b.together(left, right, t.open)
	}
	return false
}

// forget leaves members without a result, because nothing more may be run.
func (b *splitting) forget(members []mutant.Mutant) {
	for _, m := range members {
		b.results[m.Name].State = ""
	}
}

// together looks for two edits that are rejected together only, one of left and one of right.
func (b *splitting) together(left, right []mutant.Mutant, ids []string) {
	left = b.narrow(left, right, ids)
	right = b.narrow(right, left, ids)
	for _, x := range left {
		for _, y := range right {
			b.results[x.Name].Together = append(b.results[x.Name].Together, y.Name)
			b.results[y.Name].Together = append(b.results[y.Name].Together, x.Name)
		}
	}
}

// narrow is the smallest part of from that it finds to be rejected with others.
func (b *splitting) narrow(from, with []mutant.Mutant, ids []string) []mutant.Mutant {
	for len(from) > 1 && b.continues() {
		half := from[:len(from)/2]
		if b.run(slices.Concat(half, with), ids).State != FalseAlarm {
			if half = from[len(from)/2:]; b.run(slices.Concat(half, with), ids).State != FalseAlarm {
				return from
			}
		}
		from = half
	}
	return from
}
