// Package catalogue tests that the catalogue next to the specs is what they and the
// requirements say.
package catalogue

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pmezard/go-difflib/difflib"

	_ "pmem-memcached-e2e/e2e" // the specs
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/spec"
)

var updateCatalogue = flag.Bool("update", false, "write the catalogue anew")

const excerptLines = 40

// TestCatalogue makes sure that requirements and specs fit together and that
// the catalogue beside the specs is what they say.
func TestCatalogue(t *testing.T) {
	c, err := spec.NewCatalogue(framework.Specs())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatalf("requirements and specs do not fit together:\n%v", err)
	}
	table, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"../../CATALOGUE.md": c.Markdown(), "../../catalogue.yaml": table} {
		if *updateCatalogue {
			if err := replaceFile(name, want); err != nil {
				t.Error(err)
			}
			continue
		}
		got, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if drift := drift(t, name, got, want); drift != "" {
			t.Errorf("%s is not what requirements and specs say; run make catalogue and commit it:\n%s", name, drift)
		}
	}
}

// drift is the beginning of the difference between a file and what it has to
// be; empty: none.
func drift(t *testing.T, name string, got, want []byte) string {
	t.Helper()
	if bytes.Equal(got, want) {
		return ""
	}
	diff, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: slices.Collect(strings.Lines(string(got))), FromFile: name,
		B: slices.Collect(strings.Lines(string(want))), ToFile: "requirements and specs",
		Context: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(diff, "\n")
	if len(lines) > excerptLines {
		lines = append(lines[:excerptLines], "…\n")
	}
	return strings.Join(lines, "")
}

// replaceFile leaves the old file or the new one, never a part.
func replaceFile(name string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func TestDrift(t *testing.T) {
	if got := drift(t, "f", []byte("a\nb\n"), []byte("a\nb\n")); got != "" {
		t.Errorf("the same: %q", got)
	}
	const want = "--- f\n+++ requirements and specs\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
	if got := drift(t, "f", []byte("a\nb\n"), []byte("a\nc\n")); got != want {
		t.Errorf("another line: %q, want %q", got, want)
	}
	long := drift(t, "f", nil, []byte(strings.Repeat("line\n", 100)))
	if n := strings.Count(long, "\n"); n != excerptLines+1 || !strings.HasSuffix(long, "…\n") {
		t.Errorf("a missing file: %d lines, want %d and an ellipsis:\n%s", n, excerptLines+1, long)
	}
}
