// Package golden compares what a test has made with a file. Tests that import
// it have the flag -update, which writes the files.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// Check compares got with the file called name, with slashes, below testdata.
func Check[T string | []byte](t *testing.T, name string, got T) {
	t.Helper()
	File(t, filepath.Join("testdata", filepath.FromSlash(name)), got)
}

// File compares got with the file at path.
func File[T string | []byte](t *testing.T, path string, got T) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; go test -update writes it", err)
	}
	if diff := Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs; look at it, and go test -update writes it (-file +got):\n%s", path, diff)
	}
}

const excerptLines = 100

// Diff is the beginning of the difference between two texts; empty: none.
// Its spaces are ordinary ones: cmp.Diff chooses between two kinds of space by
// chance, so that nobody relies on its output.
func Diff(want, got string) string {
	diff := strings.ReplaceAll(cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")), "\u00a0", " ")
	lines := strings.SplitAfter(diff, "\n")
	if len(lines) > excerptLines {
		lines = append(lines[:excerptLines], "…\n")
	}
	return strings.Join(lines, "")
}
