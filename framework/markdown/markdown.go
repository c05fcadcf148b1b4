// Package markdown writes GitHub Flavored Markdown with texts that may hold
// anything.
package markdown

import (
	"strings"

	"pmem-memcached-e2e/framework/oneline"
)

var escaper = strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "*", `\*`, "_", `\_`, "~", `\~`, "`", "\\`", "[", `\[`, "]", `\]`,
	"\r\n", "<br>", "\r", "<br>", "\n", "<br>")

// Text is text that is shown as it is, within a line and within a table. Line
// ends stay visible.
func Text(text string) string { return escaper.Replace(strings.TrimSpace(text)) }

// codeLength is the longest code that is shown, in characters.
const codeLength = 400

// Code is text as code, in one line, cut where it is long.
func Code(text string) string {
	text = oneline.Of(text)
	if runes := []rune(text); len(runes) > codeLength {
		text = string(runes[:codeLength]) + "…"
	}
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if len(fence) == 1 {
		return fence + text + fence
	}
	return fence + " " + text + " " + fence
}

// Table is a table; cells are Markdown, such as [Text] makes. align has a cell
// such as "---:" for each column; nil: all columns are aligned to the left.
type Table struct {
	Head  []string
	Align []string
	Rows  [][]string
}

// String is the table with a line end after its last row.
func (t Table) String() string {
	var b strings.Builder
	row := func(cells []string) {
		for _, cell := range cells {
			b.WriteString("| " + cell + " ")
		}
		b.WriteString("|\n")
	}
	row(t.Head)
	if t.Align != nil {
		row(t.Align)
	} else {
		b.WriteString(strings.Repeat("|---", len(t.Head)) + "|\n")
	}
	for _, cells := range t.Rows {
		row(cells)
	}
	return b.String()
}

// Texts is a row of a [Table] with cells that are shown as they are.
func Texts(cells ...string) []string {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = Text(cell)
	}
	return row
}
