package mutant

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/spec"
)

// hunk is what an edit does to its file: the lines from start to end, without end, are others.
type hunk struct {
	Place
	lines []string
}

func (e Edit) hunk(manifests fs.FS) (hunk, error) {
	before, err := e.before(manifests)
	if err != nil {
		return hunk{}, err
	}
	was, is := strings.Split(before, "\n"), strings.Split(e.text, "\n")
	start := 0
	for start < min(len(was), len(is)) && was[start] == is[start] {
		start++
	}
	same := 0 // lines at the end
	for same < min(len(was), len(is))-start && was[len(was)-1-same] == is[len(is)-1-same] {
		same++
	}
	return hunk{Place{e.File, start, len(was) - same}, is[start : len(is)-same]}, nil
}

// before is the text without the edit, in the form in which the edit has it.
func (e Edit) before(manifests fs.FS) (string, error) {
	text, err := fs.ReadFile(manifests, e.File)
	if err != nil || !e.inManifest() {
		return string(text), err
	}
	documents, err := decode(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", e.File, err)
	}
	return encode(documents)
}

// Place is where a file is changed.
type Place struct {
	file       string
	start, end int // lines
}

// Place compares the file with the edit and without.
func (e Edit) Place(manifests fs.FS) (Place, error) {
	h, err := e.hunk(manifests)
	return h.Place, err
}

// Meets reports whether two edits change the same line, or lines next to each other. Otherwise one deployment can have both.
func (p Place) Meets(o Place) bool { return p.file == o.file && p.start <= o.end && o.start <= p.end }

// WriteAll is Edit.Write for several edits at once, at places that do not meet.
func WriteAll(edits []Edit, manifests fs.FS, mode spec.Profile, dir string) (string, error) {
	if err := os.CopyFS(dir, manifests); err != nil {
		return "", fmt.Errorf("copy the manifests: %w", err)
	}
	lines := map[string][]string{}
	var hunks []hunk
	for _, e := range edits {
		h, err := e.hunk(manifests)
		if err != nil {
			return "", err
		}
		if i := slices.IndexFunc(hunks, func(o hunk) bool { return h.Meets(o.Place) }); i >= 0 {
			return "", fmt.Errorf("edit %s changes the same place of %s as another one", e.Name, e.File)
		}
		hunks = append(hunks, h)
		if lines[e.File] == nil {
			text, err := e.before(manifests)
			if err != nil {
				return "", err
			}
			lines[e.File] = strings.Split(text, "\n")
		}
	}
	// From the end, so that the numbers of the lines before stay right.
	slices.SortFunc(hunks, func(a, b hunk) int { return b.start - a.start })
	for _, h := range hunks {
		lines[h.file] = slices.Replace(lines[h.file], h.start, h.end, h.lines...)
	}
	for file, text := range lines {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(strings.Join(text, "\n")), 0o644); err != nil {
			return "", fmt.Errorf("edit %s: %w", file, err)
		}
	}
	return filepath.Join(dir, string(mode)), nil
}
