package framework

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"

	"pmem-memcached-e2e/framework/report"
)

// Note puts something worth reporting into the report. A text that is made of a
// value that is nil ends the spec.
func (e *Env) Note(name, format string, args ...any) {
	ginkgo.GinkgoHelper()
	e.note(name, nil, format, args)
}

// NoteTable is Note with a table below the text.
func (e *Env) NoteTable(name string, table report.Table, format string, args ...any) {
	ginkgo.GinkgoHelper()
	e.note(name, &table, format, args)
}

func (e *Env) note(name string, table *report.Table, format string, args []any) {
	ginkgo.GinkgoHelper()
	if hasNil(format, args) {
		e.NoError(errors.New("its text is made of a value that is nil"), "note %q", name)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.notes = append(e.notes, report.Note{Name: name, Text: fmt.Sprintf(format, args...), Table: table})
}

// noteOnce is Note for what comes up several times.
func (e *Env) noteOnce(name, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	same := func(n report.Note) bool { return n.Name == name && n.Text == text }
	if !slices.ContainsFunc(e.notes, same) {
		e.notes = append(e.notes, report.Note{Name: name, Text: text})
	}
}

// nilText is what package fmt writes for a value that is nil.
const nilText = "<nil>"

// hasNil reports whether one of args is nil, has a part that is nil, or is the
// text of nil. What others have written may contain such a text.
func hasNil(format string, args []any) bool {
	own := slices.Clone(args)
	for i, arg := range own {
		if text, ok := arg.(string); ok && text != nilText {
			own[i] = strings.ReplaceAll(text, nilText, "")
		}
		if err, ok := arg.(error); ok {
			own[i] = errors.New(strings.ReplaceAll(err.Error(), nilText, ""))
		}
	}
	return strings.Contains(fmt.Sprintf(format, own...), nilText)
}
