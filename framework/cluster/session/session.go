// Package session runs commands one after the other in a shell that is started once, in place of a process that is
// started for each of them from outside.
package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// answerLimit is how long a shell that was ready before may take to show that it still is.
const answerLimit = 5 * time.Second

// ErrNotRun reports that a command was not begun, so that it may be run in another way.
var ErrNotRun = errors.New("the command was not begun")

// A Start runs a command with these streams until it ends. An error means that it did not start, or that the connection
// to it was lost.
type Start func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, command ...string) (exitCode int, err error)

// A Result is what a command wrote, and its exit code.
type Result struct {
	Stdout, Stderr string
	ExitCode       int
}

// A Session is a shell. It runs one command at a time.
type Session struct {
	mark        string // no command can know it
	stdin       *io.PipeWriter
	out, errs   stream
	cancel      context.CancelFunc
	ended       chan struct{} // closed when the shell has ended, after code and err were set
	code        int
	err         error
	answerLimit time.Duration

	mu     sync.Mutex
	busy   bool
	closed bool
	count  int
}

// Open starts a shell and waits until it takes commands. The error wraps what start returned.
func Open(ctx context.Context, start Start) (*Session, error) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	commands, stdin := io.Pipe()
	s := &Session{mark: rand.Text(), stdin: stdin, cancel: cancel, ended: make(chan struct{}), answerLimit: answerLimit}
	s.out.changed, s.errs.changed = make(chan struct{}, 1), make(chan struct{}, 1)
	go func() {
		defer close(s.ended)
		s.code, s.err = start(running, commands, &s.out, &s.errs, "sh")
		_ = commands.CloseWithError(io.ErrClosedPipe)
		cancel()
	}()
	err := s.send(ctx, prepare)
	if err == nil {
		err = s.ready(ctx)
	}
	if err != nil {
		s.kill()
		if s.isOver() {
			return nil, s.ending()
		}
		return nil, err
	}
	return s, nil
}

// Run runs a command whose name is looked up as execvp(3) does, in a process of its own and without standard input. The error
// is ErrNotRun if the session is in use or has ended, or if the command is not there. A session that ends during a
// command has the exit code or the error of its shell for it. One whose ctx ends before the command does is ended with it.
func (s *Session) Run(ctx context.Context, command ...string) (Result, error) {
	if !s.take() {
		return Result{}, ErrNotRun
	}
	defer s.release()
	limited, cancel := context.WithTimeout(ctx, s.answerLimit)
	defer cancel()
	if err := s.ready(limited); err != nil {
		s.kill()
		return Result{}, fmt.Errorf("%w: %w", ErrNotRun, err)
	}
	mark := s.next()
	s.out.reset()
	s.errs.reset()
	if err := s.send(ctx, script(mark, command)); err != nil {
		return s.broken(ctx, err)
	}
	stdout, status, err := s.out.until(ctx, s.ended, mark)
	if err != nil {
		return s.broken(ctx, err)
	}
	stderr, _, err := s.errs.until(ctx, s.ended, mark)
	if err != nil {
		return s.broken(ctx, err)
	}
	if status == absent {
		return Result{}, fmt.Errorf("%w: %s is not there", ErrNotRun, command[0])
	}
	code, err := strconv.Atoi(status)
	if err != nil {
		s.kill()
		return Result{}, fmt.Errorf("the shell reported %q as the exit code", status)
	}
	return Result{Stdout: stdout, Stderr: stderr, ExitCode: code}, nil
}

const absent = "absent"

// prepare keeps what the shell itself reports, such as that a signal has ended a command, out of the output of the command.
const prepare = "exec 3>&2 2>/dev/null\n"

// script is a line for the shell, which runs a command and marks its end in both streams.
func script(mark string, command []string) string {
	words := make([]string, len(command))
	for i, word := range command {
		words[i] = quote(word)
	}
	return fmt.Sprintf("if command -v %s >/dev/null; then (exec %s) </dev/null 2>&3 3>&-; echo \"%s$?\"; else echo %s%s; fi; echo %s >&3\n",
		words[0], strings.Join(words, " "), mark, mark, absent, mark)
}

func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// ready waits until the shell has answered.
func (s *Session) ready(ctx context.Context) error {
	mark := s.next()
	s.out.reset()
	if err := s.send(ctx, "echo "+mark+"\n"); err != nil {
		return err
	}
	_, _, err := s.out.until(ctx, s.ended, mark)
	return err
}

func (s *Session) next() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	return fmt.Sprintf("%s-%d:", s.mark, s.count)
}

func (s *Session) send(ctx context.Context, text string) error {
	stop := context.AfterFunc(ctx, func() { _ = s.stdin.CloseWithError(context.Cause(ctx)) })
	defer stop()
	_, err := io.WriteString(s.stdin, text)
	return err
}

// broken is the outcome of a command that did not come to its end.
func (s *Session) broken(ctx context.Context, err error) (Result, error) {
	s.kill()
	if ctx.Err() != nil {
		return Result{}, ctx.Err()
	}
	<-s.ended
	r := Result{Stdout: s.out.text(), Stderr: s.errs.text(), ExitCode: s.code}
	if s.err == nil && s.code != 0 {
		return r, nil // as a process that was killed with its container
	}
	if s.err == nil {
		return Result{}, fmt.Errorf("the shell ended during the command: %w", err)
	}
	return r, s.err
}

// ending is why the shell has ended.
func (s *Session) ending() error {
	if s.err != nil {
		return s.err
	}
	return &EndedError{s.code}
}

// An EndedError reports that a shell ended by itself.
type EndedError struct{ ExitCode int }

func (e *EndedError) Error() string {
	return fmt.Sprintf("the shell ended with exit code %d", e.ExitCode)
}

func (s *Session) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy || s.closed || s.isOver() {
		return false
	}
	s.busy = true
	return true
}

func (s *Session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	s.out.reset()
	s.errs.reset()
	if s.closed {
		_ = s.stdin.Close()
	}
}

// Over reports whether the session takes no more commands.
func (s *Session) Over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed || s.isOver()
}

func (s *Session) isOver() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// Close has the shell end, after the command that it runs.
func (s *Session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if !s.busy {
		_ = s.stdin.Close()
	}
}

// Wait waits until the shell has ended, or cuts the connection to it when ctx ends.
func (s *Session) Wait(ctx context.Context) {
	select {
	case <-s.ended:
	case <-ctx.Done():
		s.kill()
	}
}

// kill ends the shell at once. What it runs may continue.
func (s *Session) kill() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.stdin.Close()
	select {
	case <-s.ended: // it may be about to say why it has ended
	case <-time.After(endLimit):
	}
	s.cancel()
}

// endLimit is how long a shell may take to notice the end of its input.
const endLimit = 100 * time.Millisecond

// stream keeps what was written to it.
type stream struct {
	changed chan struct{} // has an element after a change

	mu       sync.Mutex
	data     []byte
	searched int // up to where there is no mark
}

// Write implements io.Writer.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	s.data = append(s.data, p...)
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (s *stream) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data, s.searched = nil, 0
}

func (s *stream) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.data)
}

// until waits for a line that ends with a mark and more, and returns what is before the mark and what is behind it.
func (s *stream) until(ctx context.Context, ended <-chan struct{}, mark string) (before, behind string, err error) {
	for {
		over := false
		select {
		case <-ended:
			over = true // all was written
		default:
		}
		if before, behind, ok := s.cut(mark); ok {
			return before, behind, nil
		}
		if over {
			return "", "", io.ErrUnexpectedEOF
		}
		select {
		case <-s.changed:
		case <-ended:
		case <-ctx.Done():
			return "", "", ctx.Err()
		}
	}
}

func (s *stream) cut(mark string) (before, behind string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := bytes.Index(s.data[s.searched:], []byte(mark))
	if at < 0 {
		s.searched = max(0, len(s.data)-len(mark))
		return "", "", false
	}
	s.searched += at
	rest, _, whole := bytes.Cut(s.data[s.searched+len(mark):], []byte("\n"))
	return string(s.data[:s.searched]), string(rest), whole
}
