// Package mutation runs the specs on mutants, and reports which mutants they reject, and for which reason.
package mutation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/mutant"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// State is what became of a mutant.
type State string

const (
	Killed       State = "killed"       // specs failed and named the requirements that the mutant violates
	Survived     State = "survived"     // a spec that has to fail passed
	WrongReason  State = "wrong reason" // specs failed, and none named a requirement that the mutant violates
	Accepted     State = "accepted"     // an equivalent: all specs passed
	FalseAlarm   State = "false alarm"  // an equivalent: a spec failed
	Undetermined State = "undetermined" // nothing can be said: a spec or the suite did not come to a result
	Invalid      State = "error"        // the mutant does not render, or renders what the manifests do
)

// States are all of them, the weightiest first.
func States() []State {
	return []State{Survived, WrongReason, FalseAlarm, Invalid, Undetermined, Killed, Accepted}
}

// Good reports whether a mutant in the state shows that the checks are right.
func (s State) Good() bool { return s == Killed || s == Accepted }

// Result is what became of a mutant, and by what.
type Result struct {
	Mutant     string       `yaml:"mutant"`
	Mode       spec.Profile `yaml:"mode"`
	Changed    string       `yaml:"changed"`
	Violates   []spec.ReqID `yaml:"violates,omitempty"`   // in that mode; none: it is equivalent
	Equivalent string       `yaml:"equivalent,omitempty"` // why
	State      State        `yaml:"state"`
	Reason     string       `yaml:"reason"`              // one line
	Checks     int          `yaml:"checks"`              // that failed
	Unsaid     []string     `yaml:"unsaid,omitempty"`    // words of the declaration that no failure has
	By         []Kill       `yaml:"by,omitempty"`        // in the order in which they failed
	Specs      []string     `yaml:"specs,omitempty"`     // that ran
	Batch      string       `yaml:"batch,omitempty"`     // in which an equivalent ran with others, and how many there were
	Together   []string     `yaml:"together,omitempty"`  // equivalents that are rejected with this one, and accepted without it
	Seconds    float64      `yaml:"seconds"`             // of the run, in a batch its share
	Report     string       `yaml:"report,omitempty"`    // its directory, relative to the matrix
	Key        string       `yaml:"key"`                 // digest of the mutant
	Manifests  string       `yaml:"manifests,omitempty"` // digest of the manifests that it changes
	Version    string       `yaml:"version,omitempty"`   // of the program that has seen it
	Earlier    bool         `yaml:"-"`                   // the manifests have changed since
}

// Kill is a check that failed.
type Kill struct {
	Spec        string     `yaml:"spec"`
	Requirement spec.ReqID `yaml:"requirement"`
	Check       string     `yaml:"check"`
	Named       bool       `yaml:"named"` // it names a requirement that the mutant violates
}

// newResult is that of a mutant that has not run.
func (s *session) newResult(m mutant.Mutant) Result {
	id := s.ids[m.Name]
	return Result{Mutant: m.Name, Mode: m.Mode, Changed: m.Changed(), Violates: m.Violates(), Equivalent: m.Equivalent,
		Key: id.key, Manifests: id.manifests, Version: s.Build.Version}
}

// judge completes r by what a run of the specs on m has found. A spec that is undetermined, that was not run, or that
// left something behind says nothing.
func (r *Result) judge(m mutant.Mutant, doc report.Document) {
	outcomes := map[string]report.SpecResult{}
	for _, s := range doc.Specs {
		if !slices.Contains(m.Specs(), s.ID) {
			continue
		}
		outcomes[s.ID] = s
		r.Specs = append(r.Specs, s.ID)
		if s.Outcome != spec.Failed {
			continue
		}
		for _, f := range s.Failures {
			if f.Requirement != "" {
				r.By = append(r.By, Kill{s.ID, f.Requirement, oneline.Of(f.Check), m.Names(s.ID, f.Requirement)})
			}
		}
	}
	r.Checks = len(r.By)
	if len(m.Rejections) == 0 {
		r.accept(m.By, outcomes)
		return
	}
	r.reject(m.Rejections, outcomes)
}

func (r *Result) accept(by []string, outcomes map[string]report.SpecResult) {
	r.State, r.Reason = Accepted, strings.Join(by, ", ")+" passed"
	alarm := ""
	for _, id := range by {
		switch s := outcomes[id]; s.Outcome {
		case spec.Passed, spec.NotApplicable:
		case spec.Failed:
			alarm = cmp.Or(alarm, id+": "+report.Heading(s.Failures))
		default:
			r.State, r.Reason = Undetermined, unclear(id, s)
		}
	}
	if alarm != "" {
		r.State, r.Reason = FalseAlarm, alarm
	}
}

// reject wants every rejection to be seen but those for which the cluster lacks what their specs need.
func (r *Result) reject(rejections []mutant.Rejection, outcomes map[string]report.SpecResult) {
	seen := 0
	var survived, doubtful []string
	for _, rejection := range rejections {
		state, reason := r.seen(rejection, outcomes)
		switch state {
		case Killed:
			seen++
		case Survived:
			survived = append(survived, reason)
		case Undetermined:
			doubtful = append(doubtful, reason)
		}
	}
	named := slices.ContainsFunc(r.By, func(k Kill) bool { return k.Named })
	switch {
	case len(doubtful) > 0:
		r.State, r.Reason = Undetermined, strings.Join(doubtful, "; ")
	case len(survived) > 0 && len(r.By) > 0 && !named:
		k := r.By[0]
		r.State, r.Reason = WrongReason, fmt.Sprintf("%s; %s failed for %s %q", strings.Join(survived, "; "), k.Spec, k.Requirement, k.Check)
	case len(survived) > 0:
		r.State, r.Reason = Survived, strings.Join(survived, "; ")
	case seen == 0:
		r.State, r.Reason = Undetermined, "none of its specs applies to this cluster"
	default:
		i := slices.IndexFunc(r.By, func(k Kill) bool { return k.Named })
		r.State, r.Reason = Killed, fmt.Sprintf("%s: %s %s", r.By[i].Spec, r.By[i].Requirement, r.By[i].Check)
		for _, rejection := range rejections {
			r.Unsaid = append(r.Unsaid, r.unsaid(rejection)...)
		}
		if len(r.Unsaid) > 0 {
			r.Reason += fmt.Sprintf("; but no failure says %q", r.Unsaid)
		}
	}
}

// unsaid are those of the words of a rejection that are in no check that failed. Words are a requirement and a part of a
// check, several after semicolons; what follows an ellipsis or a comma with "with" is a remark.
func (r *Result) unsaid(rejection mutant.Rejection) []string {
	var unsaid []string
	for words := range strings.SplitSeq(rejection.With, "; ") {
		req, check, _ := strings.Cut(words, " ")
		check, _, _ = strings.Cut(check, " …")
		check, _, _ = strings.Cut(check, ", with ")
		if words != "" && !slices.ContainsFunc(r.By, func(k Kill) bool {
			return slices.Contains(rejection.By, k.Spec) && string(k.Requirement) == req && strings.Contains(k.Check, check)
		}) {
			unsaid = append(unsaid, words)
		}
	}
	return unsaid
}

// seen is Killed when failures name all that a rejection violates, and the empty state when no spec of it applies.
func (r *Result) seen(rejection mutant.Rejection, outcomes map[string]report.SpecResult) (State, string) {
	missing := slices.Clone(rejection.Violates)
	for _, k := range r.By {
		if slices.Contains(rejection.By, k.Spec) {
			missing = slices.DeleteFunc(missing, func(req spec.ReqID) bool { return req == k.Requirement })
		}
	}
	if len(missing) == 0 {
		return Killed, ""
	}
	state, said := State(""), []string(nil)
	for _, id := range rejection.By {
		s, ran := outcomes[id]
		switch {
		case ran && s.Outcome == spec.NotApplicable:
		case ran && (s.Outcome == spec.Passed || s.Outcome == spec.Failed):
			if state == "" {
				state = Survived
			}
			said = append(said, fmt.Sprintf("%s %s", id, s.Outcome))
		default:
			state, said = Undetermined, append(said, unclear(id, s))
		}
	}
	return state, fmt.Sprintf("nothing names %s: %s", joined(missing), strings.Join(said, ", "))
}

func unclear(id string, s report.SpecResult) string {
	if s.Outcome == "" {
		return id + " is not in the report"
	}
	return oneline.Of(fmt.Sprintf("%s is %s: %s", id, s.Outcome, s.Reason))
}

func joined(ids []spec.ReqID) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = string(id)
	}
	return strings.Join(words, ", ")
}
