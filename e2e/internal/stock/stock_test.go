package stock

import (
	"fmt"
	"strings"
	"testing"

	"github.com/onsi/gomega/types"

	"pmem-memcached-e2e/framework/golden"
)

func TestFaults(t *testing.T) {
	i := Item("key", 100)
	if value, flags := Faults(i); value || flags {
		t.Errorf("an item as it was made: value %t, flags %t", value, flags)
	}
	i.Flags++
	if value, flags := Faults(i); value || !flags {
		t.Errorf("other flags: value %t, flags %t", value, flags)
	}
	i = Item("key", 100)
	i.Value[99]++
	if value, flags := Faults(i); !value || flags {
		t.Errorf("another value: value %t, flags %t", value, flags)
	}
	i = Item("key", 100)
	i.Key = "other"
	if value, flags := Faults(i); !value || !flags {
		t.Errorf("the item of another key: value %t, flags %t", value, flags)
	}
}

// TestCutShort cuts the values of items off at every length.
func TestCutShort(t *testing.T) {
	whole := Item("key", 100)
	for length := range whole.Value {
		cut := whole
		cut.Value = whole.Value[:length]
		if value, _ := Faults(cut); !value {
			t.Errorf("the first %d bytes of the value are taken for the value", length)
		}
	}
}

// TestTally compares what each matcher accepts, and what it writes for the
// rest, with testdata/failures.txt.
func TestTally(t *testing.T) {
	matchers := []struct {
		name string
		types.GomegaMatcher
	}{{"All", All()}, {"None", None()}, {"AllOrNone", AllOrNone()}}
	var b strings.Builder
	for _, tally := range []Tally{
		{Right: 6, Of: 6}, {Of: 6}, {Right: 5, Of: 6}, {Right: 5, Of: 6, Wrong: "old-3"}, {Of: 6, Wrong: "old-3"},
		Tally{Right: 1, Of: 6}.After("ended by OOMKilled with exit code 137"),
	} {
		fmt.Fprintf(&b, "observed  %s\n", tally)
		for _, m := range matchers {
			ok, err := m.Match(tally)
			if err != nil {
				t.Fatal(err)
			}
			answer := "accepted"
			if !ok {
				lines := strings.Split(m.FailureMessage(tally), "\n")
				answer = lines[len(lines)-1]
			}
			fmt.Fprintf(&b, "  %-9s  %s\n", m.name, answer)
		}
	}
	golden.Check(t, "failures.txt", b.String())
	if ok, err := All().Match("6 of 6"); ok || err == nil {
		t.Errorf("a string in place of a Tally: %t, %v", ok, err)
	}
}
