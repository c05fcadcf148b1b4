package golden_test

import (
	"fmt"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/golden"
)

func TestDiff(t *testing.T) {
	if got := golden.Diff("a\nb\n", "a\nb\n"); got != "" {
		t.Errorf("the same: %q", got)
	}
	got := golden.Diff("the first line\nthe second line\nthe third line\n", "the first line\nanother line\nthe third line\n")
	for _, want := range []string{"- ", "the second line", "+ ", "another line"} {
		if !strings.Contains(got, want) {
			t.Errorf("another line: %q, want %q in it", got, want)
		}
	}
	var long strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&long, "line %d\n", i)
	}
	if got := golden.Diff("", long.String()); strings.Count(got, "\n") > 101 || got == "" {
		t.Errorf("a missing file: %d lines, want the beginning only", strings.Count(got, "\n"))
	}
}
