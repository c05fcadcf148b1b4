package redact

import (
	"reflect"
	"testing"
	"time"
)

type kind string

type sample struct {
	ID    string `redact:"-"`
	Name  kind
	Text  string
	Lines []string
	Map   map[string]string
	Inner *sample
	When  time.Time
	None  []string
}

func TestIn(t *testing.T) {
	var r Redactor
	r.Learn("CANARY-value")
	now := time.Now()
	before := sample{ID: "CANARY-value", Name: "CANARY-value", Text: "a CANARY-value", Lines: []string{"b CANARY-value"},
		Map: map[string]string{"k": "CANARY-value"}, Inner: &sample{Text: "CANARY-value"}, When: now}
	want := sample{ID: "CANARY-value", Name: "CANARY-value", Text: "a REDACTED", Lines: []string{"b REDACTED"},
		Map: map[string]string{"k": "REDACTED"}, Inner: &sample{Text: "REDACTED"}, When: now}
	if got := In(&r, before); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if before.Lines[0] != "b CANARY-value" || before.Inner.Text != "CANARY-value" || before.Map["k"] != "CANARY-value" {
		t.Errorf("the value itself was changed: %+v", before)
	}
}
