package mutant

import (
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/spec"
)

func TestExemptions(t *testing.T) {
	c := spec.Catalogue{
		Requirements: []spec.Requirement{{ID: "EPH-01", Profiles: []spec.Profile{spec.Ephemeral}, Level: spec.Must}, {ID: "MC-01", Profiles: []spec.Profile{spec.Ephemeral, spec.Persistent}, Level: spec.Must}},
		Specs: []spec.Spec{
			{ID: "EPH-01", Profile: spec.Ephemeral, Covers: []spec.ReqID{"EPH-01", "MC-01"}},
			{ID: "RST-01", Profile: spec.Persistent, Covers: []spec.ReqID{"MC-01"}},
		},
	}
	violated := []Mutant{{Name: "one", Mode: spec.Ephemeral, Rejections: []Rejection{{By: []string{"EPH-01"}, Violates: []spec.ReqID{"MC-01"}}}}}
	for _, tt := range []struct {
		name, file string
		want       int
		wrong      string
	}{
		{"all modes", "- requirements: [MC-01]\n  because: nobody can\n", 2, "which mutant one violates in mode ephemeral"},
		{"one mode", "- requirements: [MC-01]\n  modes: [persistent]\n  because: nobody can\n", 1, ""},
		{"two", "- requirements: [EPH-01]\n  because: a\n- requirements: [MC-01]\n  modes: [persistent]\n  because: b\n", 2, ""},
		{"no reason", "- requirements: [EPH-01]\n", 1, "because is missing"}, {"an empty reason", "- requirements: [EPH-01]\n  because: \"\"\n", 1, "because is empty"},
		{"a mode without a spec", "- requirements: [EPH-01]\n  modes: [persistent]\n  because: nobody can\n", 0, "which no spec examines"},
	} {
		got, err := Exemptions("exempt.yaml", []byte(tt.file), c, violated)
		switch {
		case tt.wrong != "":
			if err == nil || !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("%s: error %v, want %q", tt.name, err, tt.wrong)
			}
		case err != nil || len(got) != tt.want:
			t.Errorf("%s: %v, %v, want %d", tt.name, got, err, tt.want)
		}
	}
}
