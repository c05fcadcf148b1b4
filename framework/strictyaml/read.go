// Package strictyaml reads YAML into Go types and reports everything that does
// not fit, with file, line, key and value; and it writes text so that it is
// read as it was.
package strictyaml

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// A File holds one YAML document.
type File struct {
	name  string
	above int // lines above what was parsed
	root  ast.Node
}

// Parse parses data, which is in the file called name below as many lines as
// above says. There may be no document in it, and not more than one.
func Parse(name string, above int, data []byte) (File, error) {
	f := File{name: name, above: above}
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return File{}, f.located(err)
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if f.root != nil {
			return File{}, fmt.Errorf("%s:%d: a second YAML document begins, want one", f.name, f.line(doc.Body))
		}
		f.root = doc.Body
	}
	return f, nil
}

// Require returns an error with remedy unless the document is a mapping in
// which key has the value want.
func (f File) Require(key, want, remedy string) error {
	for _, pair := range pairs(f.root) {
		if pair.Key.String() == key {
			if s, ok := pair.Value.(*ast.StringNode); ok && s.Value == want {
				return nil
			}
			return fmt.Errorf("%s:%d: %s is %s, want %q; %s", f.name, f.line(pair), key, shown(pair.Value), want, remedy)
		}
	}
	return fmt.Errorf("%s: %s is missing, want %q", f.name, key, want)
}

// Decode sets what target points to. A key that is unknown, missing or there
// twice is an error, and so is a value of another type; all are reported.
func (f File) Decode(target any) error { return f.decode(f.root, "", target) }

func (f File) decode(n ast.Node, key string, target any) error {
	if err := f.compare(n, key, target); err != nil {
		return err
	}
	if err := yaml.NodeToValue(n, target, yaml.Strict()); err != nil {
		return f.located(err)
	}
	return nil
}

// ReadList calls each for every entry of a file that is a list of E, with the
// lines of its keys and its own. An entry that does not fit is left out. The
// error has that of each, and all that each returns, in the order of the file.
// A file without a document has no entries.
func ReadList[E any](name string, data []byte, each func(e E, at map[string]int, line int) []error) error {
	f, err := Parse(name, 0, data)
	if err != nil || f.root == nil {
		return err
	}
	list, ok := f.root.(*ast.SequenceNode)
	if !ok {
		return f.compare(f.root, "", new([]E))
	}
	var errs []error
	for i, node := range list.Values {
		var e E
		if err := f.decode(node, fmt.Sprintf("[%d]", i), &e); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, each(e, lines(node), f.line(node))...)
	}
	return errors.Join(errs...)
}

// lines are those of the keys of a mapping.
func lines(n ast.Node) map[string]int {
	at := map[string]int{}
	for _, pair := range pairs(n) {
		at[name(pair)] = pair.Key.GetToken().Position.Line
	}
	return at
}

func (f File) line(n ast.Node) int {
	if n == nil {
		return f.above + 1
	}
	if m := pairs(n); len(m) > 0 {
		n = m[0].Key
	}
	return n.GetToken().Position.Line + f.above
}

// located puts file and line before an error of the YAML library.
func (f File) located(err error) error {
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	token := e.GetToken()
	message, _, _ := strings.Cut(e.GetMessage(), "\n")
	return fmt.Errorf("%s:%d: at %q: %s, want well-formed YAML", f.name, token.Position.Line+f.above, strings.TrimSpace(token.Value), message)
}
