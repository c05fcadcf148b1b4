package redact

import (
	"bytes"
	"io"
)

// longestLine bounds what a Writer holds back.
const longestLine = 1 << 20

// Writer redacts what is written to it line by line and passes it on. What has no line end yet is held back until it
// comes, or until Close.
type Writer struct {
	redactor *Redactor
	out      io.Writer
	lines    *lines
	rest     []byte
}

// Writer returns a writer to out.
func (r *Redactor) Writer(out io.Writer) *Writer {
	return &Writer{redactor: r, out: out, lines: newLines(func(string) {})}
}

// Write implements io.Writer. Its error is that of out.
func (w *Writer) Write(data []byte) (int, error) {
	w.rest = append(w.rest, data...)
	end := bytes.LastIndexByte(w.rest, '\n') + 1
	if len(w.rest)-end > longestLine {
		end = len(w.rest)
	}
	err := w.pass(w.rest[:end])
	w.rest = bytes.Clone(w.rest[end:])
	return len(data), err
}

func (w *Writer) pass(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	var redacted bytes.Buffer
	for line := range bytes.Lines(data) {
		redacted.WriteString(w.lines.next(w.redactor.learned(string(line))))
	}
	_, err := w.out.Write(redacted.Bytes())
	return err
}

// Close passes on what was held back. It does not close out.
func (w *Writer) Close() error {
	rest := w.rest
	w.rest = nil
	return w.pass(rest)
}
