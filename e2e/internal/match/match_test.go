package match

import (
	"fmt"
	"testing"

	"github.com/onsi/gomega"
)

type rate int

func (r rate) String() string { return fmt.Sprintf("%d/s", int(r)) }

func TestThat(t *testing.T) {
	fast := That("be 100/s or more", func(r rate) bool { return r >= 100 })
	if ok, err := fast.Match(rate(100)); !ok || err != nil {
		t.Errorf("100/s: %t, %v", ok, err)
	}
	if ok, err := fast.Match(rate(99)); ok || err != nil {
		t.Errorf("99/s: %t, %v", ok, err)
	}
	const want = "Expected\n    <match.rate>: 99\nto be 100/s or more"
	if got := fast.FailureMessage(rate(99)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	const negated = "Expected\n    <match.rate>: 100\nnot to be 100/s or more"
	if got := gomega.Not(fast).FailureMessage(rate(100)); got != negated {
		t.Errorf("%q, want %q", got, negated)
	}
	const other = "a string in place of a match.rate, which has to be 100/s or more"
	if ok, err := fast.Match("99/s"); ok || err == nil || err.Error() != other {
		t.Errorf("a string: %t, %v, want %q", ok, err, other)
	}
}
