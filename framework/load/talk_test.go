package load

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestTalk(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			request := make([]byte, len("hello"))
			if n, err := io.ReadFull(conn, request); err == nil {
				_, _ = io.WriteString(conn, "got "+string(request[:n]))
			}
			_ = conn.Close()
		}
	}()
	var out strings.Builder
	if err := Talk(t.Context(), addr, "hello", 0, &out); err != nil || out.String() != "got hello" {
		t.Errorf("%q, %v", out.String(), err)
	}

	// A client that sends nothing reads until the connection or its time ends.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := Talk(ctx, addr, "", 0, io.Discard); err == nil || !strings.Contains(err.Error(), "deadline exceeded") {
		t.Errorf("a server that keeps the connection open: %v", err)
	}

	_ = l.Close()
	if err := Talk(t.Context(), addr, "hello", 0, io.Discard); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody listens: %v", err)
	}
	began := time.Now()
	if err := Talk(t.Context(), addr, "hello", time.Millisecond, io.Discard); err == nil || !strings.Contains(err.Error(), "within 1ms: ") {
		t.Errorf("nobody listens for a while, %s: %v", time.Since(began), err)
	}
}

// TestTalkAwaits expects a client to connect to a server that comes up later.
func TestTalkAwaits(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	up := time.AfterFunc(100*time.Millisecond, func() {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return
		}
		conn, err := l.Accept()
		if err == nil {
			_, _ = io.WriteString(conn, "late")
			_ = conn.Close()
		}
		_ = l.Close()
	})
	defer up.Stop()
	var out strings.Builder
	if err := Talk(t.Context(), addr, "", time.Minute, &out); err != nil || out.String() != "late" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
