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

	"pmem-memcached-e2e/framework/spec"
)

// Succeed matches an error value that is nil.
var Succeed = gomega.BeNil()

// failure is one requirement that is not met.
type failure struct {
	req                spec.ReqID // empty: the spec itself could not go on
	says               string
	object             string
	expected, observed string
}

// Expect states what a requirement says about an object and compares. When it
// does not match the spec fails at its end; until then further requirements
// are examined.
func (e *Env) Expect(req spec.ReqID, says, object string, observed any, want gomegatypes.GomegaMatcher) bool {
	ginkgo.GinkgoHelper()
	if !slices.Contains(e.Spec.Covers, req) {
		e.stop(failure{says: fmt.Sprintf("spec %s examines %s, which it does not list among what it covers", e.Spec.ID, req)})
	}
	e.examined[req] = true
	f, ok := compare(observed, want)
	if ok {
		return true
	}
	f.req, f.says, f.object = req, says, object
	e.failures = append(e.failures, f)
	fmt.Fprintln(ginkgo.GinkgoWriter, f.text())
	return false
}

// Require is Expect for what the rest of the spec depends on: the spec ends at
// once when it does not match.
func (e *Env) Require(req spec.ReqID, says, object string, observed any, want gomegatypes.GomegaMatcher) {
	ginkgo.GinkgoHelper()
	if !e.Expect(req, says, object, observed, want) {
		ginkgo.Fail(e.message())
	}
}

// NoError ends the spec when err is set. It is for what the spec does, not for
// what is required.
func (e *Env) NoError(err error, attempted string, args ...any) {
	ginkgo.GinkgoHelper()
	if err != nil {
		cause, more, _ := strings.Cut(err.Error(), "\n")
		e.stop(failure{says: fmt.Sprintf("could not %s: %s", fmt.Sprintf(attempted, args...), cause), observed: more})
	}
}

func (e *Env) stop(f failure) {
	ginkgo.GinkgoHelper()
	e.failures = append(e.failures, f)
	ginkgo.Fail(e.message())
}

// finish is called when the body has come to its end.
func (e *Env) finish() {
	if len(e.failures) == 0 {
		var missed []string
		for _, r := range e.Spec.Covers {
			if !e.examined[r] {
				missed = append(missed, string(r))
			}
		}
		if len(missed) == 0 {
			return
		}
		e.failures = append(e.failures, failure{says: "the spec ended without examining " + strings.Join(missed, ", ")})
	}
	ginkgo.Fail(e.message())
}

// message is the text of a failed spec: what broke, where to look, and how to
// see it again. Its first line stands alone.
func (e *Env) message() string {
	var b strings.Builder
	if len(e.failures) > 1 {
		var reqs []string
		for _, f := range e.failures {
			if !slices.Contains(reqs, f.title()) {
				reqs = append(reqs, f.title())
			}
		}
		fmt.Fprintf(&b, "%d checks failed: %s\n", len(e.failures), strings.Join(reqs, "; "))
	}
	for _, f := range e.failures {
		b.WriteString(f.text() + "\n")
	}
	fmt.Fprintf(&b, "evidence  %s\nagain     %s", e.evidenceDir(), e.Config.Command(e.Spec.ID))
	return b.String()
}

func (f failure) title() string {
	if f.req == "" {
		return f.says
	}
	return string(f.req) + " " + f.says
}

func (f failure) text() string {
	var b strings.Builder
	b.WriteString(f.title())
	for _, line := range []struct{ name, text string }{
		{"expected", f.expected}, {"observed", f.observed}, {"object", f.object},
	} {
		if line.text != "" {
			fmt.Fprintf(&b, "\n  %-8s  %s", line.name, strings.ReplaceAll(strings.TrimSpace(line.text), "\n", "\n            "))
		}
	}
	return b.String()
}

func compare(observed any, want gomegatypes.GomegaMatcher) (failure, bool) {
	seen := observed
	if err, ok := observed.(error); ok {
		seen = err.Error()
	}
	ok, err := want.Match(observed)
	switch {
	case err != nil:
		return failure{expected: strings.Join(strings.Fields(err.Error()), " "), observed: fmt.Sprint(seen)}, false
	case ok:
		return failure{}, true
	case want == Succeed:
		return failure{expected: "no error", observed: fmt.Sprint(seen)}, false
	}
	return failure{expected: expectation(observed, want.FailureMessage(observed)), observed: fmt.Sprintf("%v", seen)}, false
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
