package report

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// form compares the form of a YAML file with the Go type that it is decoded
// into. It tells every difference with line, key and value, which the YAML
// library does not.
type form struct {
	name  string // of the file
	above int    // lines above what is parsed
	errs  []error
}

// parse returns the only YAML document in data; nil when there is none.
func (f *form) parse(data []byte) (ast.Node, error) {
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, f.located(err)
	}
	var root ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			return nil, fmt.Errorf("%s:%d: a second YAML document begins, want one", f.name, f.line(doc.Body))
		}
		root = doc.Body
	}
	return root, nil
}

// check reports where the tree below n, which stands at key, does not fit into
// the value that target points to.
func (f *form) check(n ast.Node, key string, target any) error {
	f.errs = nil
	f.value(n, reflect.TypeOf(target).Elem(), key)
	return errors.Join(f.errs...)
}

// schema tells a report of another form from one that is malformed.
func (f *form) schema(root ast.Node) error {
	for _, pair := range pairs(root) {
		if pair.Key.String() == "schema" {
			if s, ok := pair.Value.(*ast.StringNode); ok && s.Value == Schema {
				return nil
			}
			return fmt.Errorf("%s:%d: schema is %s, want %q; use the version of this suite that wrote the report", f.name, f.line(pair), shown(pair.Value), Schema)
		}
	}
	return fmt.Errorf("%s: schema is missing, want %q", f.name, Schema)
}

func (f *form) bad(n ast.Node, key, format string, args ...any) {
	if key == "" {
		key = "the content"
	}
	f.errs = append(f.errs, fmt.Errorf("%s:%d: %s %s", f.name, f.line(n), key, fmt.Sprintf(format, args...)))
}

func (f *form) line(n ast.Node) int {
	if n == nil {
		return f.above + 1
	}
	if m := pairs(n); len(m) > 0 {
		n = m[0].Key
	}
	return n.GetToken().Position.Line + f.above
}

func (f *form) value(n ast.Node, t reflect.Type, key string) {
	fits := true
	switch {
	case t == reflect.TypeFor[time.Time]():
		fits = isTime(n)
	case t == reflect.TypeFor[time.Duration]():
		fits = isDuration(n)
	case t.Kind() == reflect.Pointer:
		f.value(n, t.Elem(), key)
	case t.Kind() == reflect.Struct:
		f.mapping(n, t, key)
	case t.Kind() == reflect.Map:
		if fits = isMapping(n); fits {
			for _, pair := range pairs(n) {
				f.value(pair.Value, t.Elem(), under(key, name(pair)))
			}
		}
	case t.Kind() == reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if fits = ok; fits {
			for i, v := range list.Values {
				f.value(v, t.Elem(), fmt.Sprintf("%s[%d]", key, i))
			}
		}
	default:
		fits = isScalar(n, t.Kind())
	}
	if !fits {
		f.bad(n, key, "is %s, want %s", shown(n), wanted(t))
	}
}

// mapping compares the keys below n with the fields of a struct.
func (f *form) mapping(n ast.Node, t reflect.Type, key string) {
	if !isMapping(n) {
		f.bad(n, key, "is %s, want %s", shown(n), wanted(t))
		return
	}
	fields := fieldsOf(t)
	seen := map[string]bool{}
	for _, pair := range pairs(n) {
		k := name(pair)
		i := slices.IndexFunc(fields, func(c field) bool { return c.key == k })
		switch {
		case i < 0:
			f.bad(pair, under(key, k), "is %s, want no such key; there are %s", shown(pair.Value), keys(fields))
		case seen[k]:
			f.bad(pair, under(key, k), "is there a second time, want each key once")
		default:
			f.value(pair.Value, fields[i].typ, under(key, k))
		}
		seen[k] = true
	}
	for _, c := range fields {
		if !seen[c.key] && !c.optional {
			f.bad(n, under(key, c.key), "is missing, want %s", wanted(c.typ))
		}
	}
}

func under(key, name string) string { return strings.TrimPrefix(key+"."+name, ".") }

func name(pair *ast.MappingValueNode) string {
	if s, ok := pair.Key.(*ast.StringNode); ok {
		return s.Value
	}
	return pair.Key.String()
}

// field is a key that a struct has in YAML.
type field struct {
	key      string
	typ      reflect.Type
	optional bool
}

func fieldsOf(t reflect.Type) []field {
	var found []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			found = append(found, fieldsOf(f.Type)...)
		case key != "-":
			found = append(found, field{key, f.Type, options == "omitempty"})
		}
	}
	return found
}

func keys(fields []field) string {
	var list []string
	for _, f := range fields {
		list = append(list, f.key)
	}
	return strings.Join(list, ", ")
}

func isMapping(n ast.Node) bool {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

func pairs(n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

func isScalar(n ast.Node, k reflect.Kind) bool {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return k == reflect.String
	case *ast.BoolNode:
		return k == reflect.Bool
	case *ast.IntegerNode:
		return k == reflect.Int || k == reflect.Int64 || k == reflect.Float64
	case *ast.FloatNode:
		return k == reflect.Float64
	}
	return false
}

func isTime(n ast.Node) bool {
	s, ok := n.(*ast.StringNode)
	if !ok {
		return false
	}
	_, err := time.Parse(time.RFC3339Nano, s.Value)
	return err == nil
}

func isDuration(n ast.Node) bool {
	s, ok := n.(*ast.StringNode)
	if !ok {
		return false
	}
	_, err := time.ParseDuration(s.Value)
	return err == nil
}

// shown is a value in a message.
func shown(n ast.Node) string {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.StringNode:
		return fmt.Sprintf("%.80q", n.Value)
	case *ast.LiteralNode:
		return fmt.Sprintf("%.80q", n.Value.Value)
	default:
		return fmt.Sprintf("%.80q", n.String())
	}
}

func wanted(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "a time such as 2026-01-02T15:04:05Z"
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 1m30s"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "a mapping with " + keys(fieldsOf(t))
	case reflect.Map:
		return "a mapping"
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}
