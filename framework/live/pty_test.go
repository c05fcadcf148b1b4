package live

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"pmem-memcached-e2e/framework/report"
)

// openTerminal returns both ends of a pseudo-terminal.
func openTerminal(t *testing.T, columns uint16) (far, near *os.File) {
	t.Helper()
	far, near, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close(); near.Close() })
	resize(t, near, columns)
	return far, near
}

func resize(t *testing.T, near *os.File, columns uint16) {
	t.Helper()
	if err := pty.Setsize(near, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
		t.Fatal(err)
	}
}

func TestOnATerminal(t *testing.T) {
	far, near := openTerminal(t, 40)
	m := &terminal{t: t, width: 1000}
	expect := func(what string, seen func() bool) {
		t.Helper()
		buf := make([]byte, 4096)
		for deadline := time.AfterFunc(time.Minute, func() { near.WriteString("\x00gave up") }); ; {
			if seen() {
				deadline.Stop()
				return
			}
			n, err := far.Read(buf)
			if err != nil || strings.Contains(string(buf[:n]), "\x00") {
				t.Fatalf("%s was not seen (%v); written was %q", what, err, m.bytes.String())
			}
			m.Write(buf[:n])
		}
	}
	p := New(near, env(map[string]string{"TERM": "xterm"}))
	defer p.Close()
	event(p, report.SpecStarted, "EPH-01", "")
	event(p, report.StepStarted, "EPH-01", "a step whose text is longer than the terminal is wide")
	expect("a line that fits", func() bool { return strings.HasSuffix(m.last(), "…") && len([]rune(m.last())) == 39 })
	resize(t, near, 100)
	expect("a line after the resize", func() bool { return strings.HasSuffix(m.last(), "wide") })
	fmt.Fprintln(p.Writer(), "a line of someone else")
	expect("the other's line, and the live one again", func() bool {
		return strings.HasPrefix(m.String(), "a line of someone else\n ▸ EPH-01 ")
	})
	p.Close()
	expect("an empty row", func() bool { return m.last() == "" })
	if m.String() != "a line of someone else\n" {
		t.Errorf("what stays is %q", m)
	}
	if !strings.Contains(m.bytes.String(), "\x1b[2m ▸ ") {
		t.Errorf("no colour in %q", m.bytes.String())
	}
}

func TestNoTerminal(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := New(f, env(map[string]string{"TERM": "xterm"}))
	event(p, report.SpecStarted, "EPH-01", "")
	p.beat()
	event(p, report.ErrorMet, "", "it broke")
	p.Close()
	got, err := os.ReadFile(f.Name())
	if want := " ? error: it broke\n"; err != nil || string(got) != want {
		t.Errorf("written is %q (%v), want %q", got, err, want)
	}
}
