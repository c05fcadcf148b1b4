package framework

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"github.com/onsi/gomega/format"
	gomegatypes "github.com/onsi/gomega/types"

	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// Succeed matches an error value that is nil.
var Succeed = gomega.BeNil()

// Expect states what a requirement says about an object and compares. When it
// does not match the spec fails at its end; until then further requirements
// are examined. An error of the API server, of the network, or of a wait that
// was cut short says nothing about the object and ends the spec, see package
// fault.
func (e *Env) Expect(req spec.ReqID, check, object string, observed any, want gomegatypes.GomegaMatcher) bool {
	ginkgo.GinkgoHelper()
	ok := e.expect(req, check, object, observed, want)
	e.mu.Lock()
	e.examined[req] = true
	e.mu.Unlock()
	return ok
}

func (e *Env) expect(req spec.ReqID, check, object string, observed any, want gomegatypes.GomegaMatcher) bool {
	ginkgo.GinkgoHelper()
	if !slices.Contains(e.Spec.Covers, req) {
		e.stop(report.Failure{Check: fmt.Sprintf("spec %s examines %s, which it does not list among what it covers", e.Spec.ID, req)})
	}
	if r := e.suite.requirements[req]; r.Versions != "" && !e.held(req) {
		e.stop(report.Failure{Check: fmt.Sprintf("spec %s examines %s, which holds for memcached %s, and has not compared the version", e.Spec.ID, req, r.Versions)})
	}
	err, isError := observed.(error)
	unseen := func() {
		e.stop(report.Failure{Check: fmt.Sprintf("%s %q could not be seen", req, check), Observed: err.Error(), Object: object})
	}
	if isError && fault.Unanswered(err) {
		unseen()
	}
	f, ok := compare(observed, want)
	if isError && !ok && fault.Of(err) == fault.Infrastructure {
		unseen()
	}
	if ok {
		return true
	}
	f.Requirement, f.Check, f.Object = req, check, object
	fmt.Fprintln(ginkgo.GinkgoWriter, e.failed(f))
	return false
}

// Holds reports whether a requirement holds for a version of memcached. One
// that does not is not applicable, and the body leaves it out. Of a version that
// is not known nothing can be said, which ends the spec.
func (e *Env) Holds(req spec.ReqID, version string) bool {
	ginkgo.GinkgoHelper()
	r := e.suite.requirements[req]
	holds, err := r.HoldsFor(version)
	e.NoError(err, "find whether %s holds", req)
	e.mu.Lock()
	defer e.mu.Unlock()
	if holds {
		e.holds[req] = true
	} else {
		e.inapplicable = append(e.inapplicable, req)
		e.notes = append(e.notes, report.Note{Name: string(req), Text: fmt.Sprintf("not applicable: it holds for memcached %s, and this is %s", r.Versions, version)})
	}
	return holds
}

func (e *Env) held(req spec.ReqID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.holds[req]
}

// Require is Expect for what the rest of the spec depends on: the spec ends at
// once when it does not match.
func (e *Env) Require(req spec.ReqID, check, object string, observed any, want gomegatypes.GomegaMatcher) {
	ginkgo.GinkgoHelper()
	if !e.Expect(req, check, object, observed, want) {
		ginkgo.Fail(e.message())
	}
}

// Presume is Require for what has to hold before a requirement can be examined:
// that it does hold does not yet examine the requirement.
func (e *Env) Presume(req spec.ReqID, check, object string, observed any, want gomegatypes.GomegaMatcher) {
	ginkgo.GinkgoHelper()
	if !e.expect(req, check, object, observed, want) {
		ginkgo.Fail(e.message())
	}
}

// NoError ends the spec when err is set. It is for what the spec does, not for
// what is required. When err is an observation of the deployment, such as that
// memcached no longer answers, the requirement is not met for which the
// deployment was made ready.
func (e *Env) NoError(err error, attempted string, args ...any) {
	ginkgo.GinkgoHelper()
	if err == nil {
		return
	}
	attempt := fmt.Sprintf(attempted, args...)
	if d := e.serving(); fault.Of(err) == fault.Deployment && d.req != "" {
		e.Require(d.req, "the deployment serves while the spec uses it", d.object, fmt.Errorf("could not %s: %w", attempt, err), Succeed)
	}
	cause, more, _ := strings.Cut(err.Error(), "\n")
	e.stop(report.Failure{Check: fmt.Sprintf("could not %s: %s", attempt, cause), Observed: more})
}

func (e *Env) stop(f report.Failure) {
	ginkgo.GinkgoHelper()
	e.failed(f)
	ginkgo.Fail(e.message())
}

// failed records a failure and returns what it has recorded.
func (e *Env) failed(f report.Failure) report.Failure {
	f = redact.In(e.suite.secrets, f)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failures = append(e.failures, f)
	return f
}

func (e *Env) failuresSoFar() []report.Failure {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.failures)
}

// finish is called when the body has come to its end.
func (e *Env) finish() {
	e.complete = true
	if len(e.failures) == 0 {
		var missed []string
		for _, r := range e.Spec.Covers {
			if !e.examined[r] && !slices.Contains(e.inapplicable, r) {
				missed = append(missed, string(r))
			}
		}
		if len(missed) == 0 {
			return
		}
		e.failures = append(e.failures, report.Failure{Check: "the spec ended without examining " + strings.Join(missed, ", ")})
	}
	ginkgo.Fail(e.message())
}

// message is the text of a failed spec: what broke, where to look, and how to
// see it again. Its first line stands alone.
func (e *Env) message() string {
	failures := e.failuresSoFar()
	var b strings.Builder
	if len(failures) > 1 {
		b.WriteString(report.Heading(failures) + "\n")
	}
	for _, f := range failures {
		b.WriteString(f.String() + "\n")
	}
	fmt.Fprintf(&b, "evidence  %s\nagain     %s", e.evidenceDir(), e.again())
	return b.String()
}

func compare(observed any, want gomegatypes.GomegaMatcher) (report.Failure, bool) {
	seen := fmt.Sprint(observed)
	if seen == "" {
		seen = `""`
	}
	ok, err := want.Match(observed)
	switch {
	case err != nil:
		return report.Failure{Expected: oneline.Words(err.Error()), Observed: seen}, false
	case ok:
		return report.Failure{}, true
	case want == Succeed:
		return report.Failure{Expected: "no error", Observed: seen}, false
	}
	return report.Failure{Expected: expectation(observed, want.FailureMessage(observed)), Observed: seen}, false
}

var typeNote = regexp.MustCompile(`<[^<>\n]+>: `)

// expectation takes the part of a matcher's message that follows the observed
// value and makes one line of it.
func expectation(observed any, message string) string {
	prefix := "Expected\n" + format.Object(observed, 1) + "\n"
	rest, ok := strings.CutPrefix(message, prefix)
	if !ok {
		return message
	}
	return strings.Join(strings.Fields(typeNote.ReplaceAllString(rest, "")), " ")
}
