package spec

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func valid() Spec {
	return Spec{
		ID: "RST-01", Title: "a key survives a restart", Covers: []ReqID{"RST-01", "RST-02"},
		Level: Must, Profile: Persistent, Needs: []Feature{DAX}, Tags: []string{"warm"}, Budget: time.Minute,
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Spec)
		want   []string // parts of the error; none: valid
	}{
		{"valid", func(*Spec) {}, nil},
		{"of the driver", func(s *Spec) { s.Profile = Driver }, nil},
		{"no id", func(s *Spec) { s.ID = "" }, []string{"ID"}},
		{"id in lower case", func(s *Spec) { s.ID = "rst-01" }, []string{"ID", "rst-01"}},
		{"no title", func(s *Spec) { s.Title = "" }, []string{"Title"}},
		{"covers nothing", func(s *Spec) { s.Covers = nil }, []string{"Covers"}},
		{"malformed requirement", func(s *Spec) { s.Covers = []ReqID{"RST"} }, []string{"Covers", `"RST"`}},
		{"requirement twice", func(s *Spec) { s.Covers = []ReqID{"RST-01", "RST-01"} }, []string{"once"}},
		{"no level", func(s *Spec) { s.Level = "" }, []string{"Level"}},
		{"fact as level", func(s *Spec) { s.Level = Fact }, []string{"Level", "FACT"}},
		{"unknown profile", func(s *Spec) { s.Profile = "both" }, []string{"Profile", "both"}},
		{"unknown feature", func(s *Spec) { s.Needs = []Feature{"gpu"} }, []string{"Needs", "gpu"}},
		{"tag in upper case", func(s *Spec) { s.Tags = []string{"Slow"} }, []string{"Tags", "Slow"}},
		{"no budget", func(s *Spec) { s.Budget = 0 }, []string{"Budget"}},
		{"two defects", func(s *Spec) { s.Title, s.Budget = "", 0 }, []string{"Title", "Budget"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := valid()
			tt.change(&s)
			err := s.Validate()
			if (err == nil) != (len(tt.want) == 0) {
				t.Fatalf("Validate() = %v, want an error: %v", err, len(tt.want) > 0)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not mention %q", err, part)
				}
			}
		})
	}
}

func TestValidateAllFindsAnIDUsedTwice(t *testing.T) {
	first, second := valid(), valid()
	second.Title = "another"
	err := ValidateAll([]Spec{first, second})
	if err == nil || !strings.Contains(err.Error(), "used twice") || !strings.Contains(err.Error(), "another") {
		t.Fatalf("ValidateAll() = %v, want it to name both specs", err)
	}
	second.ID = "RST-02"
	if err := ValidateAll([]Spec{first, second}); err != nil {
		t.Fatalf("ValidateAll() = %v for distinct specs", err)
	}
}

func TestLabelsHoldEachWordOnce(t *testing.T) {
	got := valid().Labels()
	want := []string{"RST-01", "MUST", "persistent", "warm", "RST-02"}
	if !slices.Equal(got, want) {
		t.Errorf("Labels() = %q, want %q", got, want)
	}
}
