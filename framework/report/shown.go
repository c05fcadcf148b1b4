package report

import "pmem-memcached-e2e/framework/spec"

// Shown is the outcome of a spec that has the symbol and the colour of r.
func (r Result) Shown() spec.Outcome {
	switch r {
	case Conformant, SelectionPassed, AllMeasured:
		return spec.Passed
	case ConformantKnown, SelectionKnown, LeakedOnly:
		return spec.Leaked
	case NotConformant:
		return spec.Failed
	case Undetermined:
		return spec.Undetermined
	case NotExamined:
		return spec.Skipped
	}
	return ""
}

// Shown is the outcome of a spec that has the symbol and the colour of s.
func (s CheckState) Shown() spec.Outcome {
	switch s {
	case CheckPassed:
		return spec.Passed
	case CheckFailed:
		return spec.Failed
	case CheckSkipped:
		return spec.Skipped
	}
	return spec.Undetermined
}

// Shown is the outcome of a spec that has the symbol and the colour of s.
func (s BaselineState) Shown() spec.Outcome {
	switch s {
	case Held, Improved:
		return spec.Passed
	case Regressed:
		return spec.Failed
	}
	return spec.Undetermined
}
