package spec

import "testing"

func TestWorst(t *testing.T) {
	for _, tt := range []struct {
		outcomes []Outcome
		want     Outcome
	}{
		{nil, ""},
		{[]Outcome{"", ""}, ""},
		{[]Outcome{"", Passed}, Passed},
		{[]Outcome{Passed, NotApplicable}, Passed},
		{[]Outcome{Passed, Skipped}, Skipped},
		{[]Outcome{Leaked, Passed, Undetermined}, Undetermined},
		{[]Outcome{Undetermined, Failed, NotRun}, Failed},
		{[]Outcome{Failed, "fine"}, "fine"},
	} {
		if got := Worst(tt.outcomes...); got != tt.want {
			t.Errorf("Worst(%q) = %q, want %q", tt.outcomes, got, tt.want)
		}
	}
}

// TestOutcomesHaveSymbols makes sure that each is listed once and has a symbol
// of its own.
func TestOutcomesHaveSymbols(t *testing.T) {
	seen := map[string]Outcome{}
	for _, o := range Outcomes() {
		if other, twice := seen[o.Symbol()]; twice {
			t.Errorf("%s and %s have the symbol %s", o, other, o.Symbol())
		}
		seen[o.Symbol()] = o
	}
}

func TestCounts(t *testing.T) {
	if got, want := Counts(map[Outcome]int{Passed: 3, Skipped: 1, Undetermined: 2}), "0 failed, 2 undetermined, 1 skipped, 3 passed"; got != want {
		t.Errorf("Counts() = %q, want %q", got, want)
	}
}
