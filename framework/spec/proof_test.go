package spec

import (
	"reflect"
	"testing"
)

func TestProof(t *testing.T) {
	p := Proof{Killed: 1, Mutants: 2, Accepted: 3, Equivalents: 3, Pairs: []PairProof{
		{Requirement: "RST-01", Profile: Persistent, Killed: 1, Mutants: 2, Specs: []string{"RST-01"}},
		{Requirement: "RST-02", Profile: Persistent, Exempt: "nobody can"},
	}}
	data, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseProof(data); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("got %+v, %v, want %+v", got, err, p)
	}
	if _, err := ParseProof([]byte("killed: 1\nlost: 2\n")); err == nil {
		t.Error("an unknown key is accepted")
	}
	if pair, found := p.Of("RST-01", Persistent); !found || pair.Killed != 1 {
		t.Errorf("RST-01 persistent: got %+v, %v", pair, found)
	}
	if pair, found := p.Of("RST-01", Ephemeral); found {
		t.Errorf("RST-01 ephemeral: got %+v", pair)
	}
}
