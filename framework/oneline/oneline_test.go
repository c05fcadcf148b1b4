package oneline_test

import (
	"errors"
	"testing"

	"pmem-memcached-e2e/framework/oneline"
)

func TestOneLine(t *testing.T) {
	for _, c := range []struct{ text, of, first string }{
		{"", "", ""},
		{" \n\t\r\n ", "", ""},
		{"one", "one", "one"},
		{" one  two\tthree ", "one two three", "one  two\tthree"},
		{"one\n\n  two\n", "one | two", "one"},
		{"one\r\ntwo\rthree", "one | two | three", "one"},
		{"\n\n one \n two", "one | two", "one"},
		{errors.Join(errors.New("first  thing "), errors.New("\nsecond")).Error(), "first thing | second", "first  thing"},
	} {
		if got := oneline.Of(c.text); got != c.of {
			t.Errorf("Of(%q) = %q, want %q", c.text, got, c.of)
		}
		if got := oneline.First(c.text); got != c.first {
			t.Errorf("First(%q) = %q, want %q", c.text, got, c.first)
		}
	}
	if got := oneline.Words(" one\r\n  two\tthree\n"); got != "one two three" {
		t.Errorf("Words: %q", got)
	}
}
