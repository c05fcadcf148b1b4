package nodeshell

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// port returns the two ends of a port of which one is served.
func port(t *testing.T) (host net.Conn, served <-chan error) {
	t.Helper()
	host, node := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Serve(node) }()
	t.Cleanup(func() { host.Close() })
	return host, ended
}

func TestCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: run it without -short")
	}
	long := strings.Repeat("0123456789abcdef", 1<<16) + "\n"
	for name, c := range map[string]struct {
		args             []string
		in               string
		out, errors, err string
		code             int
	}{
		"words":      {args: []string{"echo", "a  b", "$HOME"}, out: "a  b $HOME\n"},
		"line":       {args: []string{"echo a  b | tr a c; echo x >&2"}, out: "c b\n", errors: "x\n"},
		"code":       {args: []string{"sh", "-c", "exit 7"}, code: 7},
		"signal":     {args: []string{"sh", "-c", "kill -TERM $$"}, code: 143},
		"input":      {args: []string{"tr", "a", "b"}, in: "banana\n", out: "bbnbnb\n"},
		"no input":   {args: []string{"cat", "-"}, out: ""},
		"not read":   {args: []string{"true"}, in: long},
		"much":       {args: []string{"cat", "-"}, in: long, out: long},
		"shell":      {in: "echo $((6*7))\nexit 3\n", out: "42\n", code: 3},
		"binary":     {args: []string{`printf '\000\377\n\r'`}, out: "\x00\xff\n\r"},
		"background": {args: []string{"sleep 60 & echo on"}, out: "on\n"},
		"unknown":    {args: []string{"no-such-program", "x"}, err: `start ["no-such-program" "x"]`},
	} {
		t.Run(name, func(t *testing.T) {
			conn, served := port(t)
			var out, errs bytes.Buffer
			code, err := Run(t.Context(), conn, Session{Args: c.args, Stdin: strings.NewReader(c.in), Stdout: &out, Stderr: &errs})
			if code != c.code || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got code %d, error %v, want %d, %q", code, err, c.code, c.err)
			}
			if out.String() != c.out || errs.String() != c.errors {
				t.Errorf("got %d bytes %.80q and %q, want %d bytes %.80q and %q", out.Len(), out.String(), errs.String(), len(c.out), c.out, c.errors)
			}
			if err := <-served; err != nil {
				t.Errorf("the node: %v", err)
			}
		})
	}
}

func TestTerminal(t *testing.T) {
	conn, _ := port(t)
	in, typed := io.Pipe()
	sizes := make(chan Size, 1)
	said := &watched{seen: make(chan string, 100)}
	done := make(chan error, 1)
	go func() {
		code, err := Run(t.Context(), conn, Session{Args: []string{"sh"}, Stdin: in, Stdout: said,
			Terminal: &Terminal{Type: "xterm", Size: Size{Rows: 33, Columns: 99}, Resized: sizes}})
		if err == nil && code != 5 {
			err = errors.New("exit code " + strconv.Itoa(code))
		}
		done <- err
	}()
	io.WriteString(typed, "stty size; echo $TERM\n")
	said.await(t, "33 99")
	said.await(t, "xterm")
	sizes <- Size{Rows: 44, Columns: 111}
	// The new size and what is typed go different ways to the terminal.
	io.WriteString(typed, "until stty size | grep 44; do :; done\n")
	said.await(t, "44 111")
	io.WriteString(typed, "cat\n\x04exit 5\n")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A command does not outlive its session.
func TestInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: run it without -short")
	}
	for name, terminal := range map[string]*Terminal{"plain": nil, "terminal": {Type: "xterm"}} {
		t.Run(name, func(t *testing.T) {
			conn, served := port(t)
			file := filepath.Join(t.TempDir(), "pid")
			ctx, cancel := context.WithCancelCause(t.Context())
			said := &watched{seen: make(chan string, 100)}
			done := make(chan error, 1)
			go func() {
				_, err := Run(ctx, conn, Session{Args: []string{"echo $$ >" + file + "; echo on; exec sleep 60"}, Stdout: said, Terminal: terminal})
				done <- err
			}()
			said.await(t, "on")
			enough := errors.New("enough")
			cancel(enough)
			if err := <-done; !errors.Is(err, enough) {
				t.Errorf("got %v", err)
			}
			if err := <-served; err != nil {
				t.Errorf("the node: %v", err)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
				t.Errorf("the command still runs: %v", err)
			}
		})
	}
}

// What an earlier session left in the stream is not taken for an answer.
func TestRemains(t *testing.T) {
	host, node := net.Pipe()
	go func() {
		node.Write([]byte("\x05\x00\x00\x00\x09half a fra"))
		Serve(node)
	}()
	var out bytes.Buffer
	code, err := Run(t.Context(), &lateReader{Conn: host}, Session{Args: []string{"echo", "well"}, Stdout: &out})
	if code != 0 || err != nil || out.String() != "well\n" {
		t.Errorf("got %d, %v, %q", code, err, out.String())
	}
}

// lateReader lets the other end write before it is written to.
type lateReader struct {
	net.Conn
	read bool
	kept []byte
}

func (l *lateReader) Write(data []byte) (int, error) {
	if !l.read {
		l.read = true
		l.kept = make([]byte, 15)
		if _, err := io.ReadFull(l.Conn, l.kept); err != nil {
			return 0, err
		}
	}
	return l.Conn.Write(data)
}

func (l *lateReader) Read(data []byte) (int, error) {
	if len(l.kept) > 0 {
		n := copy(data, l.kept)
		l.kept = l.kept[n:]
		return n, nil
	}
	return l.Conn.Read(data)
}

func TestNobodyServes(t *testing.T) {
	host, node := net.Pipe()
	node.Close()
	if _, err := Run(t.Context(), host, Session{}); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("got %v", err)
	}
}

func TestRefusesNonsense(t *testing.T) {
	for name, said := range map[string]string{
		"no frames": "GET / HTTP/1.1\r\n",
		"kind":      "\x02\x00\x00\x00\x00",
		"no JSON":   "\x01\x00\x00\x00\x01{",
		"too long":  "\x01\xff\xff\xff\xff",
	} {
		conn, served := port(t)
		io.WriteString(conn, said)
		conn.Close()
		if err := <-served; err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// watched passes on what is written to it.
type watched struct {
	seen chan string
	text string
}

func (w *watched) Write(data []byte) (int, error) {
	w.seen <- string(data)
	return len(data), nil
}

func (w *watched) await(t *testing.T, want string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for !strings.Contains(w.text, want) {
		select {
		case more := <-w.seen:
			w.text += more
		case <-limit:
			t.Fatalf("%q is not in %q", want, w.text)
		}
	}
	_, w.text, _ = strings.Cut(w.text, want)
}
