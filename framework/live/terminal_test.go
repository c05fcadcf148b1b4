package live

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// terminal shows what a terminal of some width would show after the bytes that
// were written to it. It knows the few controls that a Printer may use, and
// takes any other for a defect.
type terminal struct {
	t     *testing.T
	mu    sync.Mutex
	width int
	bytes strings.Builder
	rows  [][]rune
	col   int
}

var escape = regexp.MustCompile(`^\x1b\[([0-9;]*)([A-Za-z])`)

func (m *terminal) Write(data []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes.Write(data)
	if m.rows == nil {
		m.rows = [][]rune{nil}
	}
	for text := string(data); text != ""; {
		if text[0] == '\x1b' {
			found := escape.FindStringSubmatch(text)
			switch {
			case found != nil && found[2] == "m":
			case found != nil && found[0] == "\x1b[2K":
				m.rows[len(m.rows)-1] = nil
			default:
				m.t.Errorf("an escape that is not expected: %.10q", text)
				return len(data), nil
			}
			text = text[len(found[0]):]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch {
		case r == '\r':
			m.col = 0
		case r == '\n':
			m.rows, m.col = append(m.rows, nil), 0
		case r < ' ':
			m.t.Errorf("a control character that is not expected: %q", r)
		default:
			m.put(r)
		}
	}
	return len(data), nil
}

func (m *terminal) put(r rune) {
	if m.col == m.width {
		m.rows, m.col = append(m.rows, nil), 0
	}
	row := len(m.rows) - 1
	for len(m.rows[row]) <= m.col {
		m.rows[row] = append(m.rows[row], ' ')
	}
	m.rows[row][m.col] = r
	m.col++
}

// String is all that was ever shown, as far as nothing has cleared it.
func (m *terminal) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	for _, row := range m.rows {
		fmt.Fprintln(&b, strings.TrimRight(string(row), " "))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// last is the row of the cursor.
func (m *terminal) last() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows == nil {
		return ""
	}
	return string(m.rows[len(m.rows)-1])
}
