package artifact

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// work is what a store is making.
type work struct {
	mu     sync.Mutex
	making []making
	// wanted is the number of artifacts that are missing, as far as it is
	// known, and begun how many of them were begun.
	wanted, begun int
}

type making struct {
	name, log string
	since     time.Time
}

// expect records how many artifacts will be made.
func (w *work) expect(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted, w.begun = n, 0
}

// begin returns which one of how many it is, empty if that is not known.
func (w *work) begin(name, log string) (count string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.making = append(w.making, making{name, log, time.Now()})
	if w.begun++; w.begun > w.wanted {
		return ""
	}
	return fmt.Sprintf(", %d of %d", w.begun, w.wanted)
}

func (w *work) end(log string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, m := range w.making {
		if m.log == log {
			w.making = append(w.making[:i:i], w.making[i+1:]...)
			return
		}
	}
}

// String describes what is being made, how long already, and what the tools said
// last.
func (w *work) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var parts []string
	for _, m := range w.making {
		part := fmt.Sprintf("%s %s", m.name, time.Since(m.since).Truncate(time.Second))
		if said := lastLine(m.log); said != "" {
			part += " (" + said + ")"
		}
		parts = append(parts, part)
	}
	text := "making the parts"
	if w.begun <= w.wanted && w.wanted > 0 {
		text = fmt.Sprintf("making part %d of %d", w.begun, w.wanted)
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

// Bounds of what is shown of a tool's output.
const (
	lastRead  = 4096 // bytes
	lastShown = 60   // characters
)

// lastLine returns the end of a file as one short line.
func lastLine(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-lastRead), lastRead))
	if err != nil {
		return ""
	}
	lines := strings.FieldsFunc(strings.TrimSpace(string(text)), func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) == 0 {
		return ""
	}
	last := []rune(strings.TrimSpace(lines[len(lines)-1]))
	if len(last) > lastShown {
		last = append(last[:lastShown-1:lastShown-1], '…')
	}
	return string(last)
}
