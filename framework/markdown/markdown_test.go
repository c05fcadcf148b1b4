package markdown_test

import (
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/markdown"
)

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		" plain ":                   "plain",
		"a|b\\c":                    `a\|b\\c`,
		"<script>&amp;":             "&lt;script&gt;&amp;amp;",
		"*a* _b_ ~c~ `d` [l](u)":    "\\*a\\* \\_b\\_ \\~c\\~ \\`d\\` \\[l\\](u)",
		"one\r\ntwo\rthree\nfour\n": "one<br>two<br>three<br>four",
	} {
		if got := markdown.Text(text); got != want {
			t.Errorf("Text(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestCode(t *testing.T) {
	for text, want := range map[string]string{
		"make e2e":                          "`make e2e`",
		"a\n  b":                            "`a | b`",
		"a `b` c":                           "`` a `b` c ``",
		"``":                                "``` `` ```",
		"<b> | *c*":                         "`<b> | *c*`",
		"\u00e9" + strings.Repeat("x", 500): "`\u00e9" + strings.Repeat("x", 399) + "…`",
	} {
		if got := markdown.Code(text); got != want {
			t.Errorf("Code(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	table := markdown.Table{Head: []string{"a", "b"}, Rows: [][]string{markdown.Texts("1|2", ""), {"`x`", "y"}}}
	if got, want := table.String(), "| a | b |\n|---|---|\n| 1\\|2 |  |\n| `x` | y |\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	table.Align = []string{"---", "---:"}
	if got, want := table.String(), "| a | b |\n| --- | ---: |\n| 1\\|2 |  |\n| `x` | y |\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
