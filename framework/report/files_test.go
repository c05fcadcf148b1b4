package report

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWriteFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for _, text := range []string{"first", "second"} {
		if err := WriteFiles(dir, map[string][]byte{"x": []byte(text), "y": nil}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "x"))
		if err != nil || string(got) != text {
			t.Errorf("x holds %q, %v, want %q", got, err, text)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v: want nothing but x and y", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v, want mode 0644", e.Name(), info.Mode(), err)
		}
	}
}

// TestWriteFilesLeavesTheOldFile makes the last step impossible.
func TestWriteFilesLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	if err := WriteFiles(filepath.Join(dir, "x"), map[string][]byte{"inner": []byte("old")}); err != nil {
		t.Fatal(err)
	}
	err := WriteFiles(dir, map[string][]byte{"x": []byte("new")})
	if err == nil || !strings.Contains(err.Error(), "write x") {
		t.Errorf("WriteFiles() = %v, want it to name x", err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "x", "inner")); err != nil || string(got) != "old" {
		t.Errorf("%q, %v", got, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestWriteFilesNamesTheDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteFiles(filepath.Join(file, "dir"), nil); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("WriteFiles() = %v, want it to name %s", err, file)
	}
}

func TestHashEvidence(t *testing.T) {
	dir := t.TempDir()
	if files, err := HashEvidence(dir); files != nil || err != nil {
		t.Errorf("without evidence: %v, %v", files, err)
	}
	for name, text := range map[string]string{"RST-01/pod.yaml": "a pod\n", "RST-01/.hidden": "", "EPH-01/logs/x.log": "line\n"} {
		path := filepath.Join(dir, "evidence", name)
		if err := WriteFiles(filepath.Dir(path), map[string][]byte{filepath.Base(path): []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteFiles(dir, map[string][]byte{"report.yaml": nil}); err != nil {
		t.Fatal(err)
	}
	want := []File{
		{Path: "evidence/EPH-01/logs/x.log", Size: 5, SHA256: digest([]byte("line\n"))},
		{Path: "evidence/RST-01/.hidden", SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{Path: "evidence/RST-01/pod.yaml", Size: 6, SHA256: digest([]byte("a pod\n"))},
	}
	got, err := HashEvidence(dir)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("HashEvidence() = %+v, %v, want %+v", got, err, want)
	}
	if err := os.Symlink("pod.yaml", filepath.Join(dir, "evidence", "RST-01", "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := HashEvidence(dir); err == nil || !strings.Contains(err.Error(), "link is no regular file") {
		t.Errorf("with a symbolic link: %v", err)
	}
}
