package framework

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/report"
)

// events is the way to whoever watches the run.
type events struct {
	secrets *redact.Redactor

	mu  sync.Mutex
	to  io.WriteCloser // nil: nobody watches
	err error          // the first one
}

// openEvents opens the file at path for appending; an empty path means that
// nobody watches.
func openEvents(path string, secrets *redact.Redactor) (*events, error) {
	if path == "" {
		return &events{secrets: secrets}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the stream of events: %w", err)
	}
	// What a spec starts and leaves running, such as a node that it has switched
	// on, must not hold the runner's pipe open: the runner reads to its end.
	var inherited int
	if n, _ := fmt.Sscanf(path, "/dev/fd/%d", &inherited); n == 1 {
		unix.CloseOnExec(inherited)
	}
	return &events{secrets: secrets, to: f}, nil
}

func (s *events) emit(e report.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.to == nil {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if err := report.WriteEvent(s.to, redact.In(s.secrets, e)); err != nil && s.err == nil {
		s.err = fmt.Errorf("write an event: %w", err)
	}
}

func (s *events) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.to == nil {
		return nil
	}
	return errors.Join(s.err, s.to.Close())
}
