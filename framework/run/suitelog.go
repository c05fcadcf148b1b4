package run

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// pipedLog is a log that gets what is written to in, without secrets.
type pipedLog struct {
	in, out *os.File
	done    chan error
}

// startLog makes the log of a process that runs specs.
func (r *Runner) startLog(name string) (*pipedLog, error) {
	file, err := os.Create(r.path(name))
	if err != nil {
		return nil, fmt.Errorf("make the suite's log: %w", err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a pipe for the suite's log: %w", err), file.Close())
	}
	l := &pipedLog{in: in, out: out, done: make(chan error, 1)}
	go func() {
		w := r.Secrets.Writer(file)
		_, err := io.Copy(w, out)
		if errors.Is(err, os.ErrDeadlineExceeded) { // something that the suite has started still has the pipe
			err = nil
		}
		l.done <- errors.Join(err, w.Close(), file.Close())
	}()
	return l, nil
}

// end waits until all that was written is in the log, at most limit.
func (l *pipedLog) end(limit time.Duration) error {
	_ = l.in.Close()
	_ = l.out.SetReadDeadline(time.Now().Add(limit))
	err := errors.Join(<-l.done, l.out.Close())
	if err != nil {
		return fmt.Errorf("write the suite's log: %w", err)
	}
	return nil
}
