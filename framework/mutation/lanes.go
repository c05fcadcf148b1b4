package mutation

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"pmem-memcached-e2e/framework/mutant"
)

// job is one mutant, or equivalents that run together.
type job struct {
	name    string // of a batch; empty: it is one mutant
	mutants []mutant.Mutant
}

func (j job) has(m mutant.Mutant) bool {
	return slices.ContainsFunc(j.mutants, func(o mutant.Mutant) bool { return o.Name == m.Name })
}

// lane is where one mutant runs next to others.
type lane struct {
	dir    string // for its manifests
	shared bool   // other lanes use the cluster
}

// jobs are the mutants one by one, but for the equivalents that can be run in batches. All batches have the place of the
// first of their mutants, the largest first.
func (s *session) jobs(mutants []mutant.Mutant) ([]job, error) {
	batches, err := s.batches(mutants)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(batches, func(a, b job) int { return len(b.mutants) - len(a.mutants) })
	var jobs []job
	for _, m := range mutants {
		if !slices.ContainsFunc(batches, func(b job) bool { return b.has(m) }) {
			jobs = append(jobs, job{mutants: []mutant.Mutant{m}})
		} else if !slices.ContainsFunc(jobs, func(j job) bool { return j.name != "" }) {
			jobs = append(jobs, batches...)
		}
	}
	return jobs, nil
}

// runAll runs jobs in several lanes, and after them, one after the other, those that run alone.
func (s *session) runAll(ctx context.Context, jobs []job) {
	alone := func(j job) bool { return slices.ContainsFunc(j.mutants, s.alone) }
	next := make(chan job)
	n := max(s.Pace.Parallel, 1)
	var lanes sync.WaitGroup
	for i := range n {
		lanes.Go(func() {
			for j := range next {
				s.run(ctx, j, lane{dir: filepath.Join(s.temp, fmt.Sprint("lane-", i)), shared: n > 1})
			}
		})
	}
	for _, j := range jobs {
		if !alone(j) && s.continues(ctx) {
			next <- j
		}
	}
	close(next)
	lanes.Wait()
	for _, j := range jobs {
		if alone(j) && s.continues(ctx) {
			s.run(ctx, j, lane{dir: filepath.Join(s.temp, "alone")})
		}
	}
}

// continues reports whether another mutant may be begun.
func (s *session) continues(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ctx.Err() == nil && s.err == nil && s.matrix.Void == "" && (s.Pace.Until.IsZero() || time.Now().Before(s.Pace.Until))
}

func (s *session) run(ctx context.Context, j job, l lane) {
	switch {
	case !s.continues(ctx) || !s.baseline(ctx, specsOf(j.mutants), l):
	case j.name == "":
		s.put(ctx, s.single(ctx, j.mutants[0], l))
	default:
		s.put(ctx, s.batch(ctx, j, l)...)
	}
}
