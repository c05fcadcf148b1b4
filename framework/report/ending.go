package report

import (
	"slices"

	"pmem-memcached-e2e/framework/spec"
)

// Ending is what is known about a spec that was started.
type Ending struct {
	Interrupted bool // the run was
	ClusterLost bool // it no longer answers
	Panicked    bool
	SetUpFailed bool // the body was never begun
	Complete    bool // the body came to its end
	Failures    []Failure
	Leaks       int // things left behind, or that could not be removed
}

// Outcome decides. A spec that was broken off from outside, or that is broken
// itself, says nothing about the deployment, whatever it saw before.
func (e Ending) Outcome() spec.Outcome {
	switch {
	case e.Interrupted, e.ClusterLost, e.Panicked, e.SetUpFailed:
		return spec.Undetermined
	case slices.ContainsFunc(e.Failures, Failure.violates):
		return spec.Failed
	case !e.Complete, len(e.Failures) > 0:
		return spec.Undetermined
	case e.Leaks > 0:
		return spec.Leaked
	}
	return spec.Passed
}

// violates reports whether f is about the deployment.
func (f Failure) violates() bool { return f.Requirement != "" }
