package strictyaml

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// comparison compares the form of a document with the Go type that it is decoded
// into. It reports every difference with line, key and value, which the YAML
// library does not.
type comparison struct {
	file File
	errs []error
}

// compare reports where the tree below n, which stands at key, does not fit into
// the value that target points to.
func (f File) compare(n ast.Node, key string, target any) error {
	c := comparison{file: f}
	c.value(n, reflect.TypeOf(target).Elem(), key)
	return errors.Join(c.errs...)
}

func (c *comparison) bad(n ast.Node, key, format string, args ...any) {
	if key == "" {
		key = "the content"
	}
	c.errs = append(c.errs, fmt.Errorf("%s:%d: %s %s", c.file.name, c.file.line(n), key, fmt.Sprintf(format, args...)))
}

func (c *comparison) value(n ast.Node, t reflect.Type, key string) {
	fits := true
	switch {
	case t == reflect.TypeFor[time.Time]():
		fits = isTime(n)
	case t == reflect.TypeFor[time.Duration]():
		fits = isDuration(n)
	case t.Kind() == reflect.Pointer:
		c.value(n, t.Elem(), key)
	case t.Kind() == reflect.Struct:
		c.mapping(n, t, key)
	case t.Kind() == reflect.Map:
		if fits = isMapping(n); fits {
			for _, pair := range pairs(n) {
				c.value(pair.Value, t.Elem(), under(key, name(pair)))
			}
		}
	case t.Kind() == reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if fits = ok; fits {
			for i, v := range list.Values {
				c.value(v, t.Elem(), fmt.Sprintf("%s[%d]", key, i))
			}
		}
	default:
		fits = isScalar(n, t.Kind())
	}
	if !fits {
		c.bad(n, key, "is %s, want %s", shown(n), wanted(t))
	}
}

// mapping compares the keys below n with the fields of a struct.
func (c *comparison) mapping(n ast.Node, t reflect.Type, key string) {
	if !isMapping(n) {
		c.bad(n, key, "is %s, want %s", shown(n), wanted(t))
		return
	}
	fields := fieldsOf(t)
	seen := map[string]bool{}
	for _, pair := range pairs(n) {
		k := name(pair)
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == k })
		switch {
		case i < 0:
			c.bad(pair, under(key, k), "is %s, want no such key; there are %s", shown(pair.Value), keys(fields))
		case seen[k]:
			c.bad(pair, under(key, k), "is there a second time, want each key once")
		default:
			c.value(pair.Value, fields[i].typ, under(key, k))
		}
		seen[k] = true
	}
	for _, f := range fields {
		if !seen[f.key] && !f.optional {
			c.bad(n, under(key, f.key), "is missing, want %s", wanted(f.typ))
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
