package memcached

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/memcached/memcachedtest"
)

func start(t *testing.T) string { return memcachedtest.Start(t) }

func TestClient(t *testing.T) {
	addr := start(t)
	ctx := t.Context()
	c, err := Dial(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	if _, err := c.Get(ctx, "k"); !errors.Is(err, ErrCacheMiss) {
		t.Errorf("Get of nothing: %v, want a miss", err)
	}
	if err := c.Set(ctx, &Item{Key: "k", Value: []byte("I am PMEM."), Flags: 7}); err != nil {
		t.Fatal(err)
	}
	item, err := c.Get(ctx, "k")
	if err != nil || string(item.Value) != "I am PMEM." || item.Flags != 7 {
		t.Fatalf("Get: %+v, %v", item, err)
	}
	if err := c.Add(ctx, &Item{Key: "k"}); !errors.Is(err, ErrNotStored) {
		t.Errorf("Add over an item: %v, want not stored", err)
	}
	if err := c.Touch(ctx, "k", 100); err != nil {
		t.Error(err)
	}
	if err := c.CompareAndSwap(ctx, item); err != nil {
		t.Error(err)
	}
	if err := c.CompareAndSwap(ctx, item); !errors.Is(err, ErrCASConflict) {
		t.Errorf("second cas: %v, want a conflict", err)
	}
	if err := c.Set(ctx, &Item{Key: "n", Value: []byte("41")}); err != nil {
		t.Error(err)
	}
	if sum, err := c.Increment(ctx, "n", 1); err != nil || sum != 42 {
		t.Errorf("Increment: %d, %v", sum, err)
	}
	items, err := c.GetMulti(ctx, []string{"k", "n", "none"})
	if err != nil || len(items) != 2 {
		t.Errorf("GetMulti: %v, %v", items, err)
	}
	if err := c.Delete(ctx, "k"); err != nil {
		t.Error(err)
	}
	if err := c.Delete(ctx, "k"); !errors.Is(err, ErrCacheMiss) {
		t.Errorf("second Delete: %v, want a miss", err)
	}
	if err := c.FlushAll(ctx); err != nil {
		t.Error(err)
	}
	if _, err := c.Get(ctx, "n"); !errors.Is(err, ErrCacheMiss) {
		t.Errorf("Get after flush: %v, want a miss", err)
	}

	stats, err := c.Stats(ctx, "")
	if err != nil || stats["version"] == "" || stats["cmd_set"] != "5" {
		t.Errorf("stats: version %q, cmd_set %q, want 5; %v", stats["version"], stats["cmd_set"], err)
	}
	settings, err := c.Stats(ctx, "settings")
	if err != nil || settings["maxbytes"] != "67108864" {
		t.Errorf("stats settings: maxbytes %q, %v", settings["maxbytes"], err)
	}
	if empty, err := c.Stats(ctx, "items"); err != nil {
		t.Errorf("stats items: %v, %v", empty, err)
	}
	if _, err := c.Stats(ctx, "nonsense"); err == nil {
		t.Error("stats nonsense: no error")
	}
}

func TestContextEndsOperations(t *testing.T) {
	// A server that accepts and never answers.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	addr := listener.Addr().String()

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	started := time.Now()
	if _, err := Dial(ctx, addr); err == nil || !strings.Contains(err.Error(), "memcached at "+addr+": version: ") {
		t.Errorf("Dial: %v", err)
	}
	s, err := Open(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cause := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { stop(cause) })
	if _, err := s.Do(ctx, "version", Line("x")); !errors.Is(err, cause) {
		t.Errorf("Do: %v, want %v", err, cause)
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestCancelledClient(t *testing.T) {
	c, err := Dial(t.Context(), start(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Set(ctx, &Item{Key: "k"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Set: %v, want cancelled", err)
	}
	if err := c.Set(t.Context(), &Item{Key: "k"}); err != nil {
		t.Errorf("Set after a cancelled one: %v", err)
	}
}

func TestSession(t *testing.T) {
	s, err := Open(t.Context(), start(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, test := range []struct {
		request string
		until   func(string) bool
		want    []string
	}{
		{"set demo_key 0 500000 10\r\nI am PMEM.", Line("STORED"), []string{"STORED"}},
		{"get demo_key", Line("END"), []string{"VALUE demo_key 0 10", "I am PMEM.", "END"}},
		{"get none\r\n", Line("END"), []string{"END"}},
		{"nonsense", Line("END"), []string{"ERROR"}},
		{"set k 0 0 3\r\nfour", Line("STORED"), []string{"CLIENT_ERROR bad data chunk"}},
	} {
		lines, err := s.Do(t.Context(), test.request, test.until)
		if err != nil || !slices.Equal(lines, test.want) {
			t.Errorf("%q: %q, %v; want %q", test.request, lines, err, test.want)
		}
		if strings.HasSuffix(test.request, "four") {
			// memcached reads what is left of the bad data as a command.
			if lines, err := s.Do(t.Context(), "version", func(line string) bool { return strings.HasPrefix(line, "VERSION ") }); err != nil {
				t.Errorf("version: %q, %v", lines, err)
			}
		}
	}
	if lines, err := s.Do(t.Context(), "quit", nil); err != io.EOF || len(lines) != 0 {
		t.Errorf("quit: %q, %v; want EOF", lines, err)
	}
}

func TestSessionSeesTheServerGo(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 100))
		_, _ = io.WriteString(conn, "VALUE k 0 4\r\nha")
		conn.Close()
	}()
	s, err := Open(t.Context(), listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	lines, err := s.Do(t.Context(), "get k", Line("END"))
	if !errors.Is(err, io.ErrUnexpectedEOF) || !slices.Equal(lines, []string{"VALUE k 0 4", "ha"}) {
		t.Errorf("%q, %v; want an unexpected EOF", lines, err)
	}
}

func TestParseStats(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines []string
		want  map[string]string
		fail  bool
	}{
		{"values with spaces and without", []string{"STAT a 1", "STAT b two words", "STAT c", "STAT d ", "END"},
			map[string]string{"a": "1", "b": "two words", "c": "", "d": ""}, false},
		{"none", []string{"END"}, map[string]string{}, false},
		{"no end", []string{"STAT a 1"}, nil, true},
		{"an error", []string{"ERROR"}, nil, true},
		{"another line", []string{"VALUE a 1", "END"}, nil, true},
		{"nothing", nil, nil, true},
	} {
		got, err := parseStats(test.lines)
		if (err != nil) != test.fail || fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: %v, %v", test.name, got, err)
		}
	}
}

func TestDialErrors(t *testing.T) {
	for _, test := range []struct{ addr, want string }{
		{"127.0.0.1:1", "memcached at 127.0.0.1:1: version: dial tcp 127.0.0.1:1: connect: connection refused"},
		{"127.0.0.1", "memcached at 127.0.0.1: address 127.0.0.1: missing port in address"},
	} {
		if _, err := Dial(t.Context(), test.addr); err == nil || err.Error() != test.want {
			t.Errorf("Dial(%s): %v, want %s", test.addr, err, test.want)
		}
	}
}

// A server that accepts connections and says nothing uses up the limit of an
// exchange and not the time of its context, and is judged.
func TestTerms(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	judged := errors.New("judged")
	terms := Terms{Limit: 20 * time.Millisecond, Judge: func(ctx context.Context, err error) error {
		if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() || ctx.Err() != nil {
			t.Errorf("to be judged: %v, want a time-out of the exchange alone", err)
		}
		return judged
	}}
	s, err := Open(ctx, listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Terms = terms
	if _, err := s.Do(ctx, "version", Line()); !errors.Is(err, judged) {
		t.Errorf("Do: %v", err)
	}
	c, err := Dial(ctx, start(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Terms = terms
	if _, err := c.Get(ctx, "absent"); !errors.Is(err, ErrCacheMiss) || errors.Is(err, judged) {
		t.Errorf("a miss is judged: %v", err)
	}
	c.addr = listener.Addr().String()
	if _, err := c.Stats(ctx, ""); !errors.Is(err, judged) {
		t.Errorf("Stats: %v", err)
	}
}
