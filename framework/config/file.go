package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"pmem-memcached-e2e/framework/nearest"
	"pmem-memcached-e2e/framework/oneline"
)

// FileError is a line of a configuration file that was refused.
type FileError struct {
	File  string
	Line  int // from 1
	Key   string
	Value string
	Want  string // what was expected
}

func (e *FileError) Error() string {
	at := fmt.Sprintf("%s:%d: ", e.File, e.Line)
	switch {
	case e.Key != "":
		return at + fmt.Sprintf("%s: %q: %s", e.Key, e.Value, e.Want)
	case e.Value != "":
		return at + fmt.Sprintf("%q: %s", e.Value, e.Want)
	}
	return at + e.Want
}

// readFile takes over the settings in the file at path, which the variable or
// flag field names, and returns their variables. Each line that is refused is a
// FileError.
func (c *Config) readFile(field, path, home string) (variables []string, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &FieldError{Field: field, Value: path, Remedy: reason(err) + "; give the path of one readable file"}
	}
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, notYAML(path, data, err)
	}
	entries, errs := entriesOf(path, file)
	first := map[string]int{}
	for _, entry := range entries {
		refuse := func(want string) {
			errs = append(errs, &FileError{File: path, Line: entry.line, Key: entry.key, Value: entry.value, Want: want})
		}
		i := slices.IndexFunc(settings, func(s Setting) bool { return s.Flag == entry.key })
		switch line, twice := first[entry.key]; {
		case i < 0:
			refuse("there is no such setting; did you mean " + nearest.To(entry.key, flagNames()) + "?")
		case twice:
			refuse(fmt.Sprintf("line %d has this setting already; remove one", line))
		case !entry.scalar:
			refuse("give one value, such as 'wait-scale: 2'")
		default:
			if err := settings[i].value.set(c, base{filepath.Dir(path), home}, entry.value); err != nil {
				refuse(oneline.Of(err.Error()))
			}
			variables = append(variables, settings[i].Variable)
		}
		if _, twice := first[entry.key]; !twice {
			first[entry.key] = entry.line
		}
	}
	if len(errs) == 0 && len(entries) == 0 {
		errs = append(errs, &FileError{File: path, Line: 1, Want: "there are no settings; write lines such as 'wait-scale: 2'"})
	}
	return variables, errors.Join(errs...)
}

func notYAML(path string, data []byte, err error) error {
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	refused := &FileError{File: path, Line: e.GetToken().Position.Line, Want: "not YAML: " + e.GetMessage()}
	if lines := strings.Split(string(data), "\n"); refused.Line <= len(lines) {
		refused.Value = strings.TrimSpace(lines[refused.Line-1])
	}
	return refused
}

// entry is one setting as it is written.
type entry struct {
	line       int
	key, value string
	scalar     bool // value is a text, a number or a truth value
}

// entriesOf lists the settings of a file. A document that is no mapping, and a
// second document, are errors.
func entriesOf(path string, file *ast.File) (entries []entry, errs []error) {
	var seen bool
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		var values []*ast.MappingValueNode
		line, want := doc.Body.GetToken().Position.Line, ""
		switch body := doc.Body.(type) {
		case *ast.MappingNode:
			values = body.Values
		case *ast.MappingValueNode:
			values = []*ast.MappingValueNode{body}
		default:
			want = "no settings; write lines such as 'wait-scale: 2'"
		}
		if seen {
			want = "a second document; give one in a file"
		}
		seen = true
		if want != "" {
			errs = append(errs, &FileError{File: path, Line: line, Value: oneline.First(doc.Body.String()), Want: want})
			continue
		}
		for _, v := range values {
			e := entry{line: v.Key.GetToken().Position.Line, key: v.Key.GetToken().Value}
			e.value, e.scalar = written(v.Value)
			entries = append(entries, e)
		}
	}
	return entries, errs
}

// written is a value in the words of the file, so that 1.10 does not become
// 1.1.
func written(node ast.Node) (text string, scalar bool) {
	switch n := node.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.LiteralNode:
		return n.Value.GetToken().Value, true
	}
	return oneline.First(node.String()), false
}

func flagNames() []string {
	var names []string
	for _, s := range settings {
		names = append(names, s.Flag)
	}
	return names
}
