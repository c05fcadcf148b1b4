package load

import (
	"context"
	"io"
	"net"
	"strings"
	"syscall"
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

func TestUnanswered(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"a DNS server that is silent", &net.DNSError{Err: "i/o timeout", Name: "cache.n.svc", IsTimeout: true}, true},
		{"a DNS server that fails", &net.DNSError{Err: "server misbehaving", Name: "cache.n.svc", IsTemporary: true}, true},
		{"no such name", &net.DNSError{Err: "no such host", Name: "cache.n.svc", IsNotFound: true}, false},
		{"a server that refuses", syscall.ECONNREFUSED, false},
	} {
		if got := unanswered(&net.OpError{Op: "dial", Net: "tcp", Err: tc.err}); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}
