package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "pmem-memcached-e2e/"

// pkg is a package of this module.
type pkg struct {
	path    string   // below the module's
	purpose string   // first sentence of the package comment
	code    int      // lines, without tests
	tests   int      // lines
	imports []string // of this module, below the module's path
	foreign []string // of other modules
	files   []file
}

type file struct {
	name  string
	test  bool
	lines int
}

// longest is the length of the longest file that is no test.
func (p pkg) longest() int {
	most := 0
	for _, f := range p.files {
		if !f.test {
			most = max(most, f.lines)
		}
	}
	return most
}

// listed is what go list prints of a package.
type listed struct {
	ImportPath, Dir, Doc              string
	GoFiles, CgoFiles, IgnoredGoFiles []string
	TestGoFiles, XTestGoFiles         []string
	Imports                           []string
}

// list returns the packages of the module in the working directory, with all
// files whatever their build constraints.
func list() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles,Imports", module+"...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w", err)
	}
	var packages []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		err := dec.Decode(&l)
		if errors.Is(err, io.EOF) {
			return packages, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the list of packages: %w", err)
		}
		p, err := newPkg(l)
		if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
}

func newPkg(l listed) (pkg, error) {
	p := pkg{path: strings.TrimPrefix(l.ImportPath, module), purpose: firstSentence(l.Doc)}
	for _, imported := range l.Imports {
		if own, ok := strings.CutPrefix(imported, module); ok {
			p.imports = append(p.imports, own)
		} else {
			p.foreign = append(p.foreign, imported)
		}
	}
	for _, names := range [][]string{l.GoFiles, l.CgoFiles, l.IgnoredGoFiles, l.TestGoFiles, l.XTestGoFiles} {
		for _, name := range names {
			data, err := os.ReadFile(filepath.Join(l.Dir, name))
			if err != nil {
				return pkg{}, fmt.Errorf("count lines: %w", err)
			}
			f := file{name: name, test: strings.HasSuffix(name, "_test.go"), lines: bytes.Count(data, []byte("\n"))}
			if f.test {
				p.tests += f.lines
			} else {
				p.code += f.lines
			}
			p.files = append(p.files, f)
		}
	}
	return p, nil
}

// firstSentence of a package comment, without "Package x".
func firstSentence(doc string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	if i := strings.Index(doc, ". "); i >= 0 {
		doc = doc[:i]
	}
	words := strings.SplitN(strings.TrimSuffix(doc, "."), " ", 3)
	if len(words) == 3 && (words[0] == "Package" || words[0] == "Command") {
		return words[2]
	}
	return strings.Join(words, " ")
}
