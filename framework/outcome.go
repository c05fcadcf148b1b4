package framework

import (
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"

	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// interrupted are the states of a spec that was ended with the run.
const interrupted = types.SpecStateInterrupted | types.SpecStateAborted

// specEnded reports how a spec ended, after its last attempt and all clean-up.
func (s *suite) specEnded(sr ginkgo.SpecReport) {
	e := s.env
	s.env = nil
	if e == nil || sr.LeafNodeType != types.NodeTypeIt {
		return // not selected, or left out by the runner
	}
	e.conclude(sr)
	result := e.result(sr)
	e.emit(report.Event{Kind: report.SpecEnded, Result: &result})
}

// conclude adds what Ginkgo alone knows to what the spec has recorded.
func (e *Env) conclude(sr ginkgo.SpecReport) {
	state, failure := sr.State, sr.Failure
	switch {
	case state.Is(types.SpecStatePanicked):
		e.failed(report.Failure{Check: "the spec panicked: " + oneline.First(failure.ForwardedPanic), Observed: failure.Location.String()})
	case state.Is(interrupted):
		e.failed(report.Failure{Check: "the run was interrupted"})
	case state.Is(types.SpecStateTimedout):
		e.failed(report.Failure{Check: failure.FailureNodeType.String() + " did not end in time: " + oneline.First(failure.Message)})
	case sr.Failed() && len(e.failuresSoFar()) == 0 && len(e.leftovers) == 0:
		e.failed(report.Failure{Check: oneline.First(failure.Message), Observed: rest(failure.Message)})
	}
}

func (e *Env) result(sr ginkgo.SpecReport) report.SpecResult {
	e.mu.Lock()
	defer e.mu.Unlock()
	leaks := slices.Concat(e.earlier, e.leftovers)
	r := report.SpecResult{
		ID: e.Spec.ID, Title: e.Spec.Title, Level: e.Spec.Level, Profile: e.Spec.Profile, Covers: e.Spec.Covers,
		Failures: e.failures, Complete: e.complete, Inapplicable: e.inapplicable, Leaks: leaks,
		Started: sr.StartTime, Took: sr.RunTime, Attempts: sr.NumAttempts,
		Work: e.work(), Steps: e.steps, Waits: e.waits, Notes: e.notes, Evidence: e.evidence,
	}
	for _, req := range e.Spec.Covers {
		if e.examined[req] {
			r.Examined = append(r.Examined, req)
		}
	}
	r.Outcome = report.Ending{
		Interrupted: sr.State.Is(interrupted),
		Panicked:    sr.State.Is(types.SpecStatePanicked),
		SetUpFailed: !e.began,
		ClusterLost: e.lost != nil,
		Failures:    e.failures,
		Complete:    e.complete,
		Leaks:       len(leaks),
	}.Outcome()
	switch {
	case e.lost != nil:
		r.Reason = "the cluster no longer answers: " + oneline.First(e.lost.Error())
	case len(e.failures) > 0:
		r.Reason = report.Heading(e.failures)
	case len(leaks) > 0:
		r.Reason = "left behind: " + leaks[0].String()
	}
	if r.Outcome != spec.Passed {
		r.Again = e.again()
	}
	return r
}

// again is the command that repeats the spec.
func (e *Env) again() string {
	c := e.Config
	c.Bench = e.Spec.Measures()
	return c.Command(focusOf(e.Spec.ID, Specs()))
}

func rest(text string) string {
	_, after, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return after
}
