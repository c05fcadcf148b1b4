package report

import (
	"fmt"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/spec"
)

// contradiction says why the outcome of s does not follow from what else s
// says; empty when it does.
func (s SpecResult) contradiction() string {
	switch s.Outcome {
	case spec.Passed, spec.Leaked:
		return s.unfounded()
	case spec.Failed:
		if !slices.ContainsFunc(s.Failures, Failure.violates) {
			return "no failure names a requirement"
		}
	case spec.Undetermined:
	case spec.Skipped, spec.NotApplicable, spec.NotRun:
		if s.Attempts > 0 || s.Complete || len(s.Failures) > 0 || len(s.Leaks) > 0 {
			return "it was begun"
		}
	default:
		return "there are only " + words(spec.Outcomes())
	}
	return ""
}

// unfounded says what is missing before all requirements count as met.
func (s SpecResult) unfounded() string {
	var missed []spec.ReqID
	for _, req := range s.Covers {
		if !slices.Contains(s.Examined, req) && !slices.Contains(s.Inapplicable, req) {
			missed = append(missed, req)
		}
	}
	switch {
	case len(s.Failures) > 0:
		return "it has a failure: " + oneline.Of(s.Failures[0].Title())
	case !s.Complete:
		return "its body did not come to its end"
	case len(missed) > 0:
		return "it did not examine " + words(missed)
	case s.Outcome == spec.Passed && len(s.Leaks) > 0:
		return "it left behind " + oneline.Of(s.Leaks[0].String())
	case s.Outcome == spec.Leaked && len(s.Leaks) == 0:
		return "it left nothing behind"
	}
	return ""
}

// settled is s with an outcome that is founded, and a reason for it.
func (s SpecResult) settled() SpecResult {
	if why := s.contradiction(); why != "" {
		s.Reason = fmt.Sprintf("it is said to be %q, but %s", s.Outcome, why)
		s.Outcome = spec.Undetermined
	}
	s.Reason = oneline.Of(s.Reason)
	switch {
	case s.Outcome == spec.Passed:
		s.Reason = ""
	case s.Reason != "":
	case len(s.Failures) > 0:
		s.Reason = s.Failures[0].Finding()
	case len(s.Leaks) > 0:
		s.Reason = "left behind: " + oneline.Of(s.Leaks[0].String())
	default:
		s.Reason = "no reason was given"
	}
	return s
}

// failedMusts are the requirements of level MUST that s has seen violated. One
// of an unknown level counts as such.
func (s SpecResult) failedMusts(levels map[spec.ReqID]spec.Level) []spec.ReqID {
	return slices.DeleteFunc(s.violated(), func(req spec.ReqID) bool { return !isMust(levels, req) })
}

func isMust(levels map[spec.ReqID]spec.Level, req spec.ReqID) bool {
	level, known := levels[req]
	return !known || level == spec.Must
}

// violated are the requirements that s has seen violated, each once.
func (s SpecResult) violated() []spec.ReqID {
	var found []spec.ReqID
	for _, f := range s.Failures {
		if f.violates() && !slices.Contains(found, f.Requirement) {
			found = append(found, f.Requirement)
		}
	}
	return found
}

// unknownMusts are the requirements of level MUST that s covers and about
// which it says nothing.
func (s SpecResult) unknownMusts(levels map[spec.ReqID]spec.Level) []spec.ReqID {
	var found []spec.ReqID
	for _, req := range s.Covers {
		if isMust(levels, req) && s.fate(req) == spec.Undetermined {
			found = append(found, req)
		}
	}
	return found
}

// Place is l without what can change between two looks at it.
func (l Leak) Place() Leak { return Leak{View: l.View, Where: l.Where, What: l.What} }

// String is a leak in one line.
func (l Leak) String() string {
	text := fmt.Sprintf("%s (%s, seen by the %s view)", l.What, l.Where, l.View)
	if l.Detail != "" {
		text += ": " + l.Detail
	}
	return text
}

func words[T ~string](list []T) string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}
