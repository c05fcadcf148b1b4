package testdata

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBroken makes sure that the list, the directories and the table of the
// README agree.
func TestBroken(t *testing.T) {
	all, err := AllBroken()
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, b := range all {
		row := fmt.Sprintf("| %s | %s |", strings.Join(b.Specs, ", "), b.Checks)
		if !strings.Contains(string(readme), row) {
			t.Errorf("%s: the README has no row %q", b.Directory, row)
		}
		if !strings.Contains(string(readme), fmt.Sprintf("`%s` `%s`", b.Setting, b.Directory)) {
			t.Errorf("%s: the README does not name it", b.Directory)
		}
		listed[b.Directory] = true
	}
	dirs, err := filepath.Glob("broken/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("%d directories, %v", len(dirs), err)
	}
	for _, dir := range dirs {
		if !listed[filepath.Base(dir)] {
			t.Errorf("%s is not in broken.yaml", dir)
		}
	}
}
