package report

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// readList calls each for every entry of a YAML file that is a list of E, with
// the lines of its keys and its own. An entry that does not fit is left out.
// The error has that of each, and all that each returns, in the order of the
// file. A file without a document has no entries.
func readList[E any](path string, data []byte, each func(e E, at map[string]int, line int) []error) error {
	f := form{name: path}
	root, err := f.parse(data)
	if err != nil || root == nil {
		return err
	}
	list, ok := root.(*ast.SequenceNode)
	if !ok {
		return f.check(root, "", new([]E))
	}
	var errs []error
	for i, node := range list.Values {
		var e E
		if err := f.check(node, fmt.Sprintf("[%d]", i), &e); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := yaml.NodeToValue(node, &e, yaml.Strict()); err != nil {
			errs = append(errs, f.located(err))
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
