package mutation

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
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
func (v view) page() ([]byte, error) {
	var counts []count
	for _, s := range States() {
		counts = append(counts, count{s, v.Count(s)})
	}
	none, waiting := v.unviolated()
	without, blunt := v.idle()
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, struct {
		Matrix
		Counts                        []count
		Bad                           []Result
		Rows                          []Row
		Pairs                         []string
		Exempt                        []exemption
		None, Waiting, Without, Blunt []string
	}{v.Matrix, counts, v.bad(), v.run(), v.pairs(), v.exemptions(), none, waiting, without, blunt})
	return b.Bytes(), err
}

type count struct {
	State State
	N     int
}
