// Package match has a matcher for what gomega has none for.
package match

import (
	"fmt"

	"github.com/onsi/gomega/format"
	"github.com/onsi/gomega/types"
)

// That matches a value of type T for which holds is true. Its failure text is
// in the form of gomega's: "to" followed by expected, such as "be empty".
func That[T any](expected string, holds func(T) bool) types.GomegaMatcher {
	return matcher[T]{expected, holds}
}

type matcher[T any] struct {
	expected string
	holds    func(T) bool
}

// Match implements types.GomegaMatcher.
func (m matcher[T]) Match(actual any) (bool, error) {
	value, ok := actual.(T)
	if !ok {
		return false, fmt.Errorf("a %T in place of a %T, which has to %s", actual, value, m.expected)
	}
	return m.holds(value), nil
}

// FailureMessage implements types.GomegaMatcher.
func (m matcher[T]) FailureMessage(actual any) string {
	return "Expected\n" + format.Object(actual, 1) + "\nto " + m.expected
}

// NegatedFailureMessage implements types.GomegaMatcher.
func (m matcher[T]) NegatedFailureMessage(actual any) string {
	return "Expected\n" + format.Object(actual, 1) + "\nnot to " + m.expected
}
