package live

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain ä…\nline":  "plain ä…\nline",
		"END\r\n":         "END\n",
		"a\rb\x00\x7f":    `a\rb\x00\x7f`,
		"\x1b[31mred":     `\x1b[31mred`,
		"a\tb":            "a    b",
		"\xff":            "\uFFFD",
		"\u202eabc\ufeff": `\u202eabc\ufeff`,
		"it's":            "it's",
		"\u0085\u2028":    `\u0085\u2028`,
	} {
		if got := clean(text); got != want {
			t.Errorf("clean(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		text    string
		columns int
		want    string
	}{
		{"äöü", 3, "äöü"}, {"äöü", 2, "ä…"}, {"äöü", 1, "…"}, {"äöü", 0, ""}, {"äöü", -1, ""}, {"", 0, ""},
		{"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"e\u0301a", 2, "e\u0301a"},
	} {
		if got := cut(tt.text, tt.columns); got != tt.want {
			t.Errorf("cut(%q, %d) = %q, want %q", tt.text, tt.columns, got, tt.want)
		}
	}
}

func TestBounded(t *testing.T) {
	twenty := strings.TrimSuffix(strings.Repeat("x\n", most), "\n")
	if got := bounded("\n"+twenty+"\n", "there"); strings.Join(got, "\n") != twenty {
		t.Errorf("%d lines became %q", most, got)
	}
	got := bounded(twenty+"\n"+twenty, "there")
	if len(got) != most+1 || got[most] != "… 20 more lines in there" {
		t.Errorf("%d lines became %q", 2*most, got)
	}
	if got := bounded(strings.Repeat("ä", longest+1), "there"); got[0] != strings.Repeat("ä", longest-1)+"…" {
		t.Errorf("a long line became %q", got)
	}
}

func TestEscapes(t *testing.T) {
	const text = "100%, a:b\r\nc"
	if got, want := escapeData(text), "100%25, a:b%0D%0Ac"; got != want {
		t.Errorf("escapeData(%q) = %q, want %q", text, got, want)
	}
	if got, want := escapeProperty(text), "100%25%2C a%3Ab%0D%0Ac"; got != want {
		t.Errorf("escapeProperty(%q) = %q, want %q", text, got, want)
	}
	if got, want := github.harmless("a ::b\n ::c\n::d ##[e]"), "a ::b\n |::c\n|::d # #[e]"; got != want {
		t.Errorf("harmless() = %q, want %q", got, want)
	}
}

func TestAppendSummary(t *testing.T) {
	dir := t.TempDir()
	summary, path := filepath.Join(dir, "step"), filepath.Join(dir, "summary.md")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := AppendSummary(summary, path); err == nil || !strings.Contains(err.Error(), "read the summary of the run: open "+path) {
		t.Errorf("without a summary: %v", err)
	}
	write(path, "# two\n")
	if err := AppendSummary(filepath.Join(dir, "none", "step"), path); err == nil || !strings.Contains(err.Error(), "append to the summary of the job: ") {
		t.Errorf("without a directory: %v", err)
	}
	if err := AppendSummary(summary, path); err != nil {
		t.Fatal(err)
	}
	write(summary, "# one\n")
	if err := AppendSummary(summary, path); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(summary); err != nil || string(got) != "# one\n# two\n" {
		t.Errorf("the job's summary is %q (%v)", got, err)
	}

	write(path, strings.Repeat("a line\n", summaryLimit/7+1))
	if err := AppendSummary(summary, path); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(summary)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) > summaryLimit || len(got) < summaryLimit-100 || !bytes.HasSuffix(got, []byte("a line\n\n\nThe summary is cut off here; the report has all of it.\n")) {
		t.Errorf("a long summary has %d bytes and ends with %q", len(got), got[len(got)-80:])
	}
	write(summary, strings.Repeat("x", summaryLimit))
	if err := AppendSummary(summary, path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(summary); err != nil || info.Size() != summaryLimit {
		t.Errorf("a full summary has grown to %v (%v)", info, err)
	}
}
