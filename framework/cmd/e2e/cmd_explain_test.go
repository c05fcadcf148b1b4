package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	for _, tt := range []struct {
		id   string
		code int
		want []string
	}{
		{"RST-12", 0, []string{"requirement RST-12", "source", "specs", "violated by", "PERSISTENT=e2e/testdata/broken/no-room-for-state: RST-49: RST-12"}},
		{"rst-45", 0, []string{"requirement RST-45", "spec RST-45", "covers", "RST-47", "budget", "must fail on", "slab-automove"}},
		{"PRO-07", 0, []string{"requirement PRO-07", "PRO-01"}},
		{"RST-99", 3, []string{`"RST-99" is neither a requirement nor a spec; did you mean RST-`}},
	} {
		var stdout, stderr bytes.Buffer
		code := execute(t.Context(), []string{"explain", tt.id}, &stdout, &stderr)
		text := stdout.String() + stderr.String()
		if code != tt.code {
			t.Errorf("%s: exit code %d, want %d", tt.id, code, tt.code)
		}
		for _, want := range tt.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing in\n%s", tt.id, want, text)
			}
		}
		if tt.code != 0 && strings.Count(text, "\n") != 1 {
			t.Errorf("%s: more than one line:\n%s", tt.id, text)
		}
	}
}
