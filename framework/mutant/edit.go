package mutant

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/spec"
)

// Edit is one change of one file of the manifests.
type Edit struct {
	Name string // follows from the file, the rule and what is changed
	File string // in the manifests
	Was  string // one line
	Is   string // in its place; empty: it was dropped
	text string // of the whole file with the change
}

func (e Edit) String() string {
	if e.Is == "" {
		return fmt.Sprintf("%s: %q was dropped", e.File, e.Was)
	}
	return fmt.Sprintf("%s: %q in place of %q", e.File, e.Is, e.Was)
}

const (
	initScript    = "components/wrapper/data-volume-init.sh"
	wrapperScript = "components/wrapper/memcached-wrapper.sh"
)

// Text is that of the whole file with the change.
func (e Edit) Text() string { return e.text }

// files are those in which edits are made, by the first part of their names.
func files(mode spec.Profile) []struct{ short, path string } {
	return []struct{ short, path string }{
		{"manifest", fmt.Sprintf("%s/memcached-%[1]s.yaml", mode)},
		{"init", initScript},
		{"wrapper", wrapperScript},
	}
}

// Edits are all single edits of the manifests for a mode that the rules make, in the order of the files.
func Edits(manifests fs.FS, mode spec.Profile) ([]Edit, error) {
	var all []Edit
	for _, f := range files(mode) {
		text, err := fs.ReadFile(manifests, f.path)
		if err != nil {
			return nil, err
		}
		var edits []Edit
		if strings.HasSuffix(f.path, ".sh") {
			edits = scriptEdits(string(text))
		} else if edits, err = manifestEdits(text); err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
		seen := map[string]int{}
		for _, e := range edits {
			e.File, e.Name = f.path, f.short+"-"+slug(e.Name)
			if seen[e.Name]++; seen[e.Name] > 1 {
				e.Name = fmt.Sprintf("%s-%d", e.Name, seen[e.Name])
			}
			e.Was, e.Is = oneline.Of(e.Was), oneline.Of(e.Is)
			all = append(all, e)
		}
	}
	return all, nil
}

func manifestEdits(text []byte) ([]Edit, error) {
	var all []Edit
	for _, rule := range []func([]byte) ([]Edit, error){objectEdits, addEdits, lies} {
		edits, err := rule(text)
		if err != nil {
			return nil, err
		}
		all = append(all, edits...)
	}
	return all, nil
}

const nameLength = 56

var notInNames = regexp.MustCompile(`[^a-zA-Z0-9.]+`)

// slug is a text as part of a name that needs no quotes in a shell.
func slug(text string) string {
	text = strings.Trim(notInNames.ReplaceAllString(text, "-"), "-")
	if len(text) > nameLength {
		text = strings.TrimRight(text[:nameLength], "-")
	}
	return text
}

// Write puts the manifests with the edit into dir, which must be empty, and returns the directory there of
// the kustomization for a mode.
func (e Edit) Write(manifests fs.FS, mode spec.Profile, dir string) (string, error) {
	if err := os.CopyFS(dir, manifests); err != nil {
		return "", fmt.Errorf("copy the manifests: %w", err)
	}
	path := filepath.Join(dir, e.File)
	was, err := os.ReadFile(path)
	if err == nil && string(was) == e.text {
		err = errors.New("nothing was changed")
	}
	if err == nil {
		err = os.WriteFile(path, []byte(e.text), 0o644)
	}
	if err != nil {
		return "", fmt.Errorf("edit %s: %w", e.Name, err)
	}
	return filepath.Join(dir, string(mode)), nil
}
