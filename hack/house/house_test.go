package main

import (
	"slices"
	"testing"
)

func TestDefects(t *testing.T) {
	rooms := parseRooms("# comment\ncmd\n\ne2e\nframework/.\nframework/wait\n")
	tests := []struct {
		name string
		p    pkg
		want []string
	}{
		{"downward", pkg{path: "e2e", imports: []string{"framework", "framework/wait"}}, nil},
		{"within a room", pkg{path: "e2e", imports: []string{"e2e/internal/items"}}, nil},
		{"upward", pkg{path: "framework/wait", imports: []string{"framework"}}, []string{"framework/wait imports framework, which goes upward"}},
		{"no room", pkg{path: "framework/other"}, []string{"framework/other has no room; name one in rooms.txt"}},
		{"no purpose", pkg{path: "e2e/utils", code: 1}, []string{"e2e/utils has no package comment that says its purpose", "e2e/utils: the name says no purpose"}},
		{"long files", pkg{path: "e2e", files: []file{{"a.go", false, 401}, {"b.go", false, 400}, {"a_test.go", true, 601}}},
			[]string{"e2e/a.go has 401 lines, the limit is 400", "e2e/a_test.go has 601 lines, the limit is 600"}},
		{"Kubernetes where data is", pkg{path: "framework/wait", foreign: []string{"k8s.io/client-go/rest"}},
			[]string{"framework/wait imports k8s.io/client-go/rest: it is about data, not about a cluster"}},
		{"Ginkgo", pkg{path: "framework/wait", foreign: []string{"github.com/onsi/ginkgo/v2/types"}},
			[]string{"framework/wait imports github.com/onsi/ginkgo/v2/types: only the package framework wires specs into Ginkgo"}},
		{"Ginkgo where it belongs", pkg{path: "framework", foreign: []string{"github.com/onsi/ginkgo/v2"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := defects(rooms, []pkg{tt.p}); !slices.Equal(got, tt.want) {
				t.Errorf("defects:\n%q\nwant:\n%q", got, tt.want)
			}
		})
	}
}

func TestFirstSentence(t *testing.T) {
	for doc, want := range map[string]string{
		"Package wait polls for a\nstate. It has limits.": "polls for a state",
		"Command e2e runs.": "runs",
		"":                  "",
	} {
		if got := firstSentence(doc); got != want {
			t.Errorf("%q: %q, want %q", doc, got, want)
		}
	}
}

// TestHouse holds this module to its own rules.
func TestHouse(t *testing.T) {
	packages, err := list()
	if err != nil {
		t.Fatal(err)
	}
	for _, defect := range defects(parseRooms(roomsFile), packages) {
		t.Error(defect)
	}
}
