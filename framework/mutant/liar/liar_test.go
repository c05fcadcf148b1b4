package liar_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/memcached/memcachedtest"
	"pmem-memcached-e2e/framework/mutant/liar"
	"pmem-memcached-e2e/framework/mutant/liar/liartest"
)

// talk sends text on a new connection and returns all that comes back, until the
// answer to quit.
func talk(t *testing.T, addr, text string) string {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer context.AfterFunc(t.Context(), func() { conn.Close() })()
	go io.WriteString(conn, text+"quit\r\n") // a failure shows in what is read
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%.40q: %v after %.100q", text, err, answer)
	}
	return string(answer)
}

// TestFaithful compares the control with the memcached behind it.
func TestFaithful(t *testing.T) {
	real := memcachedtest.Start(t)
	lying := liartest.Start(t, real, liar.Faithful)
	for _, text := range []string{
		"set a 1 0 3\r\nabc\r\nget a b a\r\nmg a v f k\r\n",
		"set a 1 0 3 noreply\r\nabc\r\nget a\r\n",
		"set a 1 0 5\r\nMN\r\nx\r\nget a\r\nmn\r\nmn\r\n",
		"get none\r\nmg none v q\r\nmg a s q\r\nmn\r\n",
		"nonsense\r\nset a x 0 1\r\nz\r\nset a 0 0 -1\r\n",
		"set large 0 0 1048000\r\n" + strings.Repeat("v", 1048000) + "\r\nmg large s\r\n",
		"set larger 0 0 2000000\r\n" + strings.Repeat("v", 2000000) + "\r\nget larger\r\n",
		"set longer 0 0 3\r\nabcdef\r\nget longer\r\n",
		"incr none 1\r\nset n 0 0 1\r\n5\r\nincr n 3\r\ntouch n 10\r\ngat 100 n\r\ndelete n\r\n",
		"\x80\x0a" + strings.Repeat("\x00", 22) + "\x80\x07" + strings.Repeat("\x00", 22),
	} {
		if got, want := talk(t, lying, text), talk(t, real, text); got != want {
			t.Errorf("%.60q is answered by %.200q, want %.200q", text, got, want)
		}
	}
}

func TestFaults(t *testing.T) {
	real := memcachedtest.Start(t)
	for _, test := range []struct {
		fault      liar.Fault
		send, want string
	}{
		{"loses-flags", "set k 5 0 1\r\nx\r\nget k\r\nmg k f v\r\n", "STORED\nVALUE k 0 1\nx\nEND\nVA 1 f0\nx\n"},
		{"older-value", "set k 0 0 1\r\nx\r\nset k 0 0 2\r\nyy\r\nget k\r\nmg k v\r\n", "STORED\nSTORED\nVALUE k 0 1\nx\nEND\nVA 1\nx\n"},
		{"other-key", "set a 0 0 1\r\nx\r\nset b 0 0 2\r\nyy\r\nget b\r\nget a\r\n", "STORED\nSTORED\nVALUE b 0 1\nx\nEND\nVALUE a 0 2\nyy\nEND\n"},
		{"truncates", "set k 0 0 3\r\nabc\r\nget k\r\n", "STORED\nVALUE k 0 2\nab\nEND\n"},
		{"wrong-cas", "set k 0 0 1\r\nx\r\ngets k\r\n", "STORED\nVALUE k 0 1 "},
		{"forgets-delete", "set k 0 0 1\r\nx\r\ndelete k\r\nget k\r\ndelete none\r\n", "STORED\nDELETED\nVALUE k 0 1\nx\nEND\nNOT_FOUND\n"},
		{"forgets-meta-delete", "set k 0 0 1\r\nx\r\nmd k\r\nget k\r\nmd none\r\n", "STORED\nHD\nVALUE k 0 1\nx\nEND\nNF\n"},
		{"ignores-touch", "set k 0 100 1\r\nx\r\ntouch k 5\r\nmg k t\r\ntouch none 5\r\n", "STORED\nTOUCHED\nHD t100\nNOT_FOUND\n"},
		{"ignores-flush", "set k 0 0 1\r\nx\r\nflush_all\r\nget k\r\n", "STORED\nOK\nVALUE k 0 1\nx\nEND\n"},
		{"ignores-cas", "set k 0 0 1\r\nx\r\ncas k 0 0 1 1\r\ny\r\nget k\r\ncas none 0 0 1 1\r\ny\r\n", "STORED\nSTORED\nVALUE k 0 1\ny\nEND\nNOT_FOUND\n"},
		{"expires-early", "set k 0 100 1\r\nx\r\nmg k t\r\nms m 1 T100\r\nx\r\nmg m t\r\n", "STORED\nHD t90\nHD\nHD t90\n"},
		{"expires-late", "set k 0 100 1\r\nx\r\nmg k t\r\nset k 0 5000000 1\r\nx\r\nget k\r\n", "STORED\nHD t110\nSTORED\nEND\n"},
		{"add-overwrites", "set k 0 0 1\r\nx\r\nadd k 0 0 1\r\ny\r\nget k\r\n", "STORED\nSTORED\nVALUE k 0 1\ny\nEND\n"},
		{"append-prepends", "set k 0 0 1\r\nx\r\nappend k 0 0 1\r\ny\r\nget k\r\n", "STORED\nSTORED\nVALUE k 0 2\nyx\nEND\n"},
		{"wrong-counters", "set k 0 0 1\r\n5\r\nincr k 1\r\nma k D2 v\r\n", "STORED\n7\nVA 2\n10\n"},
		{"obscures-values", "set k 0 0 16\r\n0123456789abcdef\r\nget k\r\nappend k 0 0 1\r\nx\r\nmg k v\r\n",
			"STORED\nVALUE k 0 16\n0123456789abcdef\nEND\nSTORED\nVA 17\n0123456789abcdef-\n"},
		{"cuts-values", "set k 0 0 2000000\r\n" + strings.Repeat("v", 2000000) + "\r\nmg k s\r\n", "STORED\nHD s524288\n"},
		{"expires-always", "set k 0 0 1\r\nx\r\nmg k t\r\nset k 0 9 1\r\nx\r\nmg k t\r\nms m 1\r\nx\r\nmg m t\r\nms T 1 T9\r\nx\r\nmg T t\r\nms z 1 T0\r\nx\r\nmg z t\r\n", "STORED\nHD t3600\nSTORED\nHD t9\nHD\nHD t3600\nHD\nHD t9\nHD\nHD t3600\n"},
		{"accepts-limits", "cache_memlimit 100\r\n", "OK\n"},
		{"hides-errors", "nonsense\r\nget\r\nset k 0 0\r\nset k 0 0 1\r\nx\r\n", "STORED\n"},
		{"slow", "set k 0 0 1\r\nx\r\nget k\r\n", "STORED\nVALUE k 0 1\nx\nEND\n"},
	} {
		t.Run(string(test.fault), func(t *testing.T) {
			lying := liartest.Start(t, real, test.fault)
			got := strings.ReplaceAll(talk(t, lying, "flush_all noreply\r\n"+test.send), "\r\n", "\n")
			if got != test.want && (!strings.HasSuffix(test.want, " ") || !strings.HasPrefix(got, test.want)) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestSometimes counts faults that only some requests have.
func TestSometimes(t *testing.T) {
	real := memcachedtest.Start(t)
	var store, fetch strings.Builder
	const items = 100
	for i := range items {
		fmt.Fprintf(&store, "set k%d 0 0 3\r\nabc\r\n", i)
		fmt.Fprintf(&fetch, "get k%d\r\n", i)
	}
	for _, test := range []struct {
		fault liar.Fault
		right int
	}{{"misses", 95}, {"corrupts", 95}, {"loses-stores", 95}, {liar.Faithful, items}} {
		lying := liartest.Start(t, real, test.fault)
		talk(t, lying, "flush_all\r\n"+store.String())
		if right := strings.Count(talk(t, lying, fetch.String()), "\r\nabc\r\n"); right != test.right {
			t.Errorf("%s: %d of %d values are right, want %d", test.fault, right, items, test.right)
		}
	}
	lying := liartest.Start(t, real, "drops-connection")
	if answers := strings.Count(talk(t, lying, fetch.String()), "END"); answers != 49 {
		t.Errorf("drops-connection: %d answers, want 49", answers)
	}
}

func TestEvictsNewest(t *testing.T) {
	lying := liartest.Start(t, memcachedtest.Start(t), "evicts-newest")
	store := func(key string) string { return "set " + key + " 0 0 1\r\nx\r\n" }
	got := talk(t, lying, store("k")+store("l")+"lru_crawler metadump all\r\n"+store("m")+"get l\r\nget k\r\n"+store("l")+"get k\r\nget m\r\n")
	const want = "END\r\nSTORED\r\nEND\r\nVALUE k 0 1\r\nx\r\nEND\r\nSTORED\r\nEND\r\nVALUE m 0 1\r\nx\r\nEND\r\n"
	if !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want it to end in %q", got, want)
	}
}

func TestDies(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lying := liar.Liar{Upstream: memcachedtest.Start(t), Fault: "dies"}
	died := make(chan error, 1)
	go func() { died <- lying.Serve(t.Context(), listener) }()
	const requests = 5001
	if answers := strings.Count(talk(t, listener.Addr().String(), strings.Repeat("get k\r\n", requests)), "END"); answers != 4999 {
		t.Errorf("%d answers, want 4999", answers)
	}
	if err := <-died; !errors.Is(err, liar.ErrDied) {
		t.Errorf("it ended with %v", err)
	}
}

func TestQuitIsAnswered(t *testing.T) {
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", liartest.Start(t, memcachedtest.Start(t), "answers-quit"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "quit\r\nmn\r\n"); err != nil {
		t.Fatal(err)
	}
	const want = "OK\r\nMN\r\n"
	answer := make([]byte, len(want))
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != want {
		t.Errorf("got %q, %v; want %q", answer, err, want)
	}
}

// TestStatistics compares those of a memcached that lies about them with those of another one.
func TestStatistics(t *testing.T) {
	real := memcachedtest.Start(t)
	for _, test := range []struct {
		fault            liar.Fault
		send, name       string
		differenceInMiBs int
	}{
		{"wrong-limit", "stats\r\n", "limit_maxbytes", -1},
		{"wrong-limit", "stats settings\r\n", "maxbytes", -1},
		{"wrong-allocated", "stats slabs\r\n", "total_malloced", 1},
		{liar.Faithful, "stats\r\n", "limit_maxbytes", 0},
	} {
		number := func(fault liar.Fault) int {
			_, rest, _ := strings.Cut(talk(t, liartest.Start(t, real, fault), test.send), "STAT "+test.name+" ")
			text, _, _ := strings.Cut(rest, "\r")
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Errorf("%s has %s %q: %v", test.send, test.name, text, err)
			}
			return n
		}
		if got := number(test.fault) - number(liar.Faithful); got != test.differenceInMiBs<<20 {
			t.Errorf("%s: %s differs by %d bytes, want %d MiB", test.fault, test.name, got, test.differenceInMiBs)
		}
	}
}

// TestDump lists the items of a memcached behind one that lies.
func TestDump(t *testing.T) {
	s, err := memcached.Open(t.Context(), liartest.Start(t, memcachedtest.Start(t), "expires-always"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.StoreMany(t.Context(), []memcached.Item{{Key: "a", Value: []byte("x")}, {Key: "b", Value: []byte("y")}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if items, err := s.Metadump(t.Context()); err != nil || len(items) != 2 || items["a"].Expires < 0 {
			t.Errorf("got %v, %v; want two items that expire", items, err)
		}
	}
}

func TestUnknownFault(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	err = (&liar.Liar{Fault: "lazy"}).Serve(t.Context(), listener)
	if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "older-value") {
		t.Errorf("error %v, want the names of faults", err)
	}
}

func TestEveryFaultIsDescribed(t *testing.T) {
	for _, fault := range liar.Faults() {
		if fault.Describe() == "" {
			t.Errorf("%s has no description", fault)
		}
	}
}
