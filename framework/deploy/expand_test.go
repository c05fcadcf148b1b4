package deploy

import "testing"

func TestExpand(t *testing.T) {
	values := map[string]string{"A": "1", "LONG_NAME": "x y", "EMPTY": "", "DOLLAR": "$(A)"}
	lookup := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	for word, want := range map[string]string{
		"":                     "",
		"plain":                "plain",
		"$(A)":                 "1",
		"-$(A)-$(LONG_NAME)-":  "-1-x y-",
		"$(EMPTY)":             "",
		"$(NONE)":              "$(NONE)",
		"$$(A)":                "$(A)",
		"$$$(A)":               "$1",
		"$$pid $A ${A} $":      "$pid $A ${A} $",
		"$(A":                  "$(A",
		"$(DOLLAR)":            "$(A)",
		"$(( $(stat x) / 2 ))": "$(( $(stat x) / 2 ))",
	} {
		if got := Expand(word, lookup); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
