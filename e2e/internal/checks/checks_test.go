// Package checks lists every check of the specs in a file that a reviewer reads
// as a list of true statements.
package checks

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/golden"
)

// TestChecks compares the checks with testdata/checks.txt. What a check takes
// from a variable is in braces. A check states what holds when it passes; what a
// run observed belongs into the observed value.
func TestChecks(t *testing.T) {
	var text strings.Builder
	n := 0
	for _, file := range sources(t) {
		checks := file.checks()
		if len(checks) == 0 {
			continue
		}
		n += len(checks)
		fmt.Fprintf(&text, "%s\n", file.name)
		for _, c := range checks {
			fmt.Fprintf(&text, "\t%s\n", c)
		}
	}
	if n < 300 {
		t.Errorf("%d checks, and there are more than 300", n)
	}
	golden.Check(t, "checks.txt", text.String())
}

type source struct {
	name string // below e2e
	*ast.File
	taking map[string]int // the functions of all files that take a check, with the index of that argument
}

func sources(t *testing.T) []source {
	t.Helper()
	var paths []string
	for _, pattern := range []string{"../../*.go", "../*/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	taking := map[string]int{"Expect": 1, "Require": 1, "Presume": 1}
	var all []source
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				note(taking, n.Name, n.Type)
			case *ast.AssignStmt:
				if f, ok := n.Rhs[0].(*ast.FuncLit); ok {
					note(taking, n.Lhs[0], f.Type)
				}
			}
			return true
		})
		name := strings.TrimPrefix(strings.TrimPrefix(path, "../../"), "../")
		all = append(all, source{name, file, taking})
	}
	return all
}

// note adds a function that has a parameter check.
func note(taking map[string]int, name ast.Expr, f *ast.FuncType) {
	i := 0
	for _, field := range f.Params.List {
		for _, p := range field.Names {
			if p.Name == "check" {
				taking[types.ExprString(name)] = i
			}
			i++
		}
	}
}

// checks are those of a file in the order of its text: arguments of functions
// that take a check, variables, and fields of tables with that name.
func (s source) checks() []string {
	var found []string
	add := func(req string, e ast.Expr) {
		if text := render(e); !regexp.MustCompile(`^\{[\w.]*\}$`).MatchString(text) {
			found = append(found, strings.TrimSpace(req+" "+text))
		}
	}
	ast.Inspect(s.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			name := types.ExprString(n.Fun)
			name = name[strings.LastIndex(name, ".")+1:]
			if i, ok := s.taking[name]; ok && i < len(n.Args) {
				add(requirement(n.Args), n.Args[i])
			}
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				if types.ExprString(l) == "check" && len(n.Rhs) == len(n.Lhs) {
					add("", n.Rhs[i])
				}
			}
		case *ast.CompositeLit:
			for _, row := range rows(n) {
				add(row.req, row.check)
			}
		}
		return true
	})
	return found
}

// requirement is the first argument that is one.
func requirement(args []ast.Expr) string {
	for _, a := range args {
		if text := render(a); isRequirement.MatchString(text) || text == "{req}" || strings.HasSuffix(text, ".req}") {
			return text
		}
	}
	return ""
}

var isRequirement = regexp.MustCompile(`^[A-Z]{2,3}-[0-9]+$`)

type row struct {
	req   string
	check ast.Expr
}

// rows are those of a table with a field check: its rows have keys, or are in
// the order of the fields.
func rows(table *ast.CompositeLit) []row {
	if len(table.Elts) == 0 {
		return nil
	}
	column := -1
	if array, ok := table.Type.(*ast.ArrayType); ok {
		switch elt := array.Elt.(type) {
		case *ast.StructType:
			i := 0
			for _, field := range elt.Fields.List {
				for _, name := range field.Names {
					if name.Name == "check" {
						column = i
					}
					i++
				}
			}
		case *ast.Ident:
			if elt.Name == "Exchange" {
				column = 1
			}
		}
	}
	var found []row
	for _, elt := range table.Elts {
		lit, ok := elt.(*ast.CompositeLit)
		if !ok {
			continue
		}
		for i, field := range lit.Elts {
			kv, keyed := field.(*ast.KeyValueExpr)
			switch {
			case keyed && types.ExprString(kv.Key) == "check":
				found = append(found, row{requirement(values(lit.Elts)), kv.Value})
			case !keyed && i == column:
				found = append(found, row{requirement(lit.Elts), field})
			}
		}
	}
	return found
}

func values(elts []ast.Expr) []ast.Expr {
	elts = slices.Clone(elts)
	for i, e := range elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			elts[i] = kv.Value
		}
	}
	return elts
}

var verb = regexp.MustCompile(`%(\.\d+)?[a-z]|%%`)

// render is the text of an expression, with what is not constant in braces.
func render(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return text
		}
		return e.Value
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return render(e.X) + render(e.Y)
		}
	case *ast.CallExpr:
		if types.ExprString(e.Fun) != "fmt.Sprintf" {
			break
		}
		next := 0
		return verb.ReplaceAllStringFunc(render(e.Args[0]), func(v string) string {
			if v == "%%" {
				return "%"
			}
			next++
			return render(e.Args[next])
		})
	}
	return "{" + types.ExprString(e) + "}"
}
