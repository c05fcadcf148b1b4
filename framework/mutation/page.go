package mutation

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"

	"pmem-memcached-e2e/framework/spec"
)

//go:embed page.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"class": func(s State) string {
		switch {
		case s.Good():
			return "good"
		case s == Undetermined || s == Invalid:
			return "doubt"
		}
		return "bad"
	},
	"round": func(seconds float64) string { return fmt.Sprintf("%.0f", seconds) },
}).Parse(pageText))

// page is the matrix for a browser.
func (m Matrix) page(c spec.Catalogue) ([]byte, error) {
	var counts []count
	for _, s := range States() {
		counts = append(counts, count{s, m.Count(s)})
	}
	var rows, without []Row
	for _, r := range m.Rows(c) {
		if len(r.Results) > 0 {
			rows = append(rows, r)
		} else {
			without = append(without, r)
		}
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, struct {
		Matrix
		Counts        []count
		Bad           []Result
		Rows, Without []Row
		Idle          []string
	}{m, counts, m.bad(), rows, without, m.Idle(c)})
	return b.Bytes(), err
}

type count struct {
	State State
	N     int
}
