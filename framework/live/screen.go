package live

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"

	"pmem-memcached-e2e/framework/oneline"
)

// screen is an output with whole lines and, on a terminal, one line below them
// that is drawn again and again.
type screen struct {
	out      io.Writer
	terminal bool
	colour   bool
	width    func() int // columns at this moment; of a terminal only

	drawn  string    // the line below, when it is there
	spoken time.Time // when whole lines were last printed
}

// print adds whole lines.
func (s *screen) print(text string) {
	_, _ = io.WriteString(s.out, s.erasure()+text+"\n") // an output that is gone cannot be reported
	s.spoken = time.Now()
}

// draw puts text in place of the line below. It stays off the last column, so
// that no terminal wraps it.
func (s *screen) draw(text string) {
	text = cut(text, s.width()-1)
	if text == s.drawn {
		return
	}
	erasure := s.erasure()
	_, _ = io.WriteString(s.out, erasure+s.paint(dim, text))
	s.drawn = text
}

// erase removes the line below.
func (s *screen) erase() {
	if erasure := s.erasure(); erasure != "" {
		_, _ = io.WriteString(s.out, erasure)
	}
}

// erasure clears one row only. Where a terminal has been made narrower and has
// wrapped the line, a part of it stays above: better that than to clear a row
// with something else.
func (s *screen) erasure() string {
	if s.drawn == "" {
		return ""
	}
	s.drawn = ""
	return "\r\x1b[2K"
}

type style string

const (
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

func (s *screen) paint(st style, text string) string {
	if !s.colour || text == "" {
		return text
	}
	return "\x1b[" + string(st) + "m" + text + "\x1b[0m"
}

// cut shortens text to a number of columns.
func cut(text string, columns int) string {
	if columns < 1 {
		return ""
	}
	return runewidth.Truncate(text, columns, "…")
}

// clean makes text safe to print: what a terminal or a CI system might obey,
// such as escapes and carriage returns, is written as an escape sequence. Line ends stay.
func clean(text string) string {
	var b strings.Builder
	for _, r := range strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\r\n", "\n") {
		switch {
		case r == '\t':
			b.WriteString("    ")
		case r == '\n' || unicode.IsGraphic(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// printable is text in one line that is safe to print.
func printable(text string) string {
	return cut(oneline.Of(clean(text)), longest)
}

// Bounds of what is shown of a text from elsewhere; the report has all of it.
const (
	longest = 500 // columns of a line
	most    = 20  // lines
)

// bounded returns the lines of text that are shown, the last of which says
// where the others are.
func bounded(text, where string) []string {
	lines := strings.Split(strings.Trim(clean(text), "\n"), "\n")
	if over := len(lines) - most; over > 0 {
		lines = append(lines[:most:most], fmt.Sprintf("… %d more lines in %s", over, where))
	}
	for i, line := range lines {
		lines[i] = strings.TrimRight(cut(line, longest), " ")
	}
	return lines
}

// elapsed is a time that has not ended.
func elapsed(d time.Duration) string { return max(d, 0).Truncate(time.Second).String() }
