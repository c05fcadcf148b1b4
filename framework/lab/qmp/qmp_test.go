package qmp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const greeting = `{"QMP": {"version": {}, "capabilities": []}}`

// serve answers each line that arrives with the next of the lines, and says
// the first when a client connects. Having said all, it is silent.
func serve(t *testing.T, lines ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		heard := bufio.NewScanner(conn)
		for _, line := range lines {
			io.WriteString(conn, line+"\n")
			if !heard.Scan() {
				return
			}
		}
		for heard.Scan() {
		}
	}()
	return path
}

func TestExecute(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  string // part of the error; empty for none
	}{
		{"answer", []string{greeting, `{"return": {}}`, `{"return": {"status": "paused"}}`}, ""},
		{"event before the answer", []string{greeting, `{"return": {}}`, `{"event": "STOP"}` + "\n" + `{"return": {"status": "paused"}}`}, ""},
		{"refusal", []string{greeting, `{"return": {}}`, `{"error": {"class": "GenericError", "desc": "not now"}}`}, "query-status: QEMU refused: not now"},
		{"no QEMU", []string{"220 mail.example ESMTP"}, "greeting"},
		{"other JSON", []string{"{}"}, "does not speak QMP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var state struct{ Status string }
			m, err := Dial(t.Context(), serve(t, c.lines...))
			if err == nil {
				defer m.Close()
				err = m.Execute(t.Context(), Command{Execute: "query-status"}, &state)
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("err = %v, want %q", err, c.want)
			}
			if err == nil && state.Status != "paused" {
				t.Errorf("status = %q", state.Status)
			}
		})
	}
}

func TestExecuteEndsWithItsContext(t *testing.T) {
	m, err := Dial(t.Context(), serve(t, greeting, `{"return": {}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := m.Execute(ctx, Command{Execute: "stop"}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestDialNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if _, err := Dial(t.Context(), path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("err = %v, want one with %s", err, path)
	}
}
