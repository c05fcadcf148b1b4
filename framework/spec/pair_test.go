package spec

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPairs(t *testing.T) {
	c := fittingCatalogue(t)
	want := []Pair{
		{"RST-01", Must, Persistent, []string{"RST-01"}, ""},
		{"RST-02", Should, Ephemeral, []string{"RST-02"}, ""},
		{"RST-02", Should, Persistent, []string{"RST-01"}, ""},
		{"OPS-01", Fact, Driver, nil, "nobody can change it"},
	}
	if got := c.Pairs(); !reflect.DeepEqual(got, want) {
		t.Errorf("pairs:\n%+v\nwant:\n%+v", got, want)
	}
	if got, want := c.MustPairs(), (PairCount{1, 1}); got != want {
		t.Errorf("pairs of level MUST: %+v, want %+v", got, want)
	}
}

func TestPairsThatDoNotFit(t *testing.T) {
	without := strings.Replace(list, `"`+">= 1.6.9"+`"`, `"`+">= 1.6.9"+`"`+"\n    unexamined: {ephemeral: it has no restart}", 1)
	for _, tt := range []struct {
		name  string
		list  string
		specs []Spec
		want  string // empty: they fit
	}{
		{"a mode without a spec and a reason", list, fitting()[1:], `requirements.yaml:8: requirement RST-02: unexamined is "", want a reason for ephemeral, because no spec covers it in that mode`},
		{"a mode without a spec", without, fitting()[1:], ""},
		{"a mode with a spec and a reason", without, fitting(), `requirements.yaml:14: requirement RST-02: unexamined is "it has no restart", want nothing for ephemeral, because spec RST-02 covers it`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := newCatalogue([]byte(tt.list), tt.specs)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := c.Validate(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("Validate():\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func TestIn(t *testing.T) {
	got := Spec{Title: "a key is stored", Covers: []ReqID{"PRO-01"}, Level: Must, Needs: []Feature{DAX}, Budget: time.Minute}.In(
		Mode{ID: "PRO-01", Profile: Ephemeral, Needs: []Feature{InlineVolume}},
		Mode{ID: "PRO-01P", Profile: Persistent, Covers: []ReqID{"RST-01"}},
	)
	if err := ValidateAll(got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].ID != "PRO-01" || got[0].Profile != Ephemeral || !slices.Equal(got[0].Needs, []Feature{DAX, InlineVolume}) || !slices.Equal(got[0].Covers, []ReqID{"PRO-01"}) ||
		got[1].ID != "PRO-01P" || got[1].Profile != Persistent || !slices.Equal(got[1].Needs, []Feature{DAX}) || !slices.Equal(got[1].Covers, []ReqID{"PRO-01", "RST-01"}) ||
		got[0].Title != got[1].Title || got[1].Budget != time.Minute {
		t.Errorf("got %+v", got)
	}
}

func TestPlannedPairs(t *testing.T) {
	c := fittingCatalogue(t)
	plan := []Planned{{Spec: c.Specs[0]}, {Spec: c.Specs[1]}}
	if got := PlannedPairs(c.Requirements, plan, Persistent); got != (PairCount{1, 1}) {
		t.Errorf("persistent: %+v", got)
	}
	plan[0].Outcome = Skipped
	if got := PlannedPairs(c.Requirements, plan, Persistent); got != (PairCount{1, 0}) {
		t.Errorf("persistent, with RST-01 skipped: %+v", got)
	}
	if got := PlannedPairs(c.Requirements, plan, Ephemeral); got != (PairCount{0, 0}) {
		t.Errorf("ephemeral, for which a SHOULD is stated only: %+v", got)
	}
}
