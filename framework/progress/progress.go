// Package progress is how long work reports what it does.
package progress

import "io"

// Writer takes whole lines about what has happened, and shows next to them
// what is being done at the moment.
type Writer interface {
	io.Writer
	// Doing shows what the function returns, which is called again and again
	// until the next call of Doing; nil shows nothing. The function must not
	// write to the Writer.
	Doing(what func() string)
}

// Lines returns a Writer that writes the lines to w and does not show what is
// being done.
func Lines(w io.Writer) Writer { return lines{w} }

type lines struct{ io.Writer }

func (lines) Doing(func() string) {}
