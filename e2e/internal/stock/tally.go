package stock

import (
	"fmt"

	"github.com/onsi/gomega/types"

	"pmem-memcached-e2e/e2e/internal/match"
)

// Tally is how many of some items memcached serves.
type Tally struct {
	Right, Of int
	Wrong     string // the key of an item that is served with another value or other flags
	context   string
}

// After returns t with what happened before, for the text of a failure.
func (t Tally) After(happened string) Tally {
	t.context = happened
	return t
}

// String has what a failure shows as observed.
func (t Tally) String() string {
	text := fmt.Sprintf("%d of %d items", t.Right, t.Of)
	if t.Wrong != "" {
		text += ", and " + t.Wrong + " with another value or other flags"
	}
	if t.context != "" {
		text += " (" + t.context + ")"
	}
	return text
}

func (t Tally) all() bool  { return t.Wrong == "" && t.Right == t.Of }
func (t Tally) none() bool { return t.Wrong == "" && t.Right == 0 }

// All matches a [Tally] of items that are all served as they were stored.
func All() types.GomegaMatcher { return match.That("be all items", Tally.all) }

// None matches a [Tally] of items of which none is served.
func None() types.GomegaMatcher { return match.That("be no item", Tally.none) }

// AllOrNone matches a [Tally] that either of them matches.
func AllOrNone() types.GomegaMatcher {
	return match.That("be all items or none", func(t Tally) bool { return t.all() || t.none() })
}
