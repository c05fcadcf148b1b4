package probe

import (
	"net"
	"slices"
	"testing"

	"pmem-memcached-e2e/framework/probe/probetest"
)

// lists are of a pod in which memcached holds the first and the third socket.
const lists = `101
103
7777

tcp:  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
tcp:   0: 00000000:2BCB 00000000:0000 0A 00000000:00000000 00:00000000 00000000 11211        0 101 1 0 100 0 0 10 0
tcp:   1: 00000000:23BE 00000000:0000 0A 00000000:00000000 00:00000000 00000000 11211        0 102 1 0 100 0 0 10 0
tcp:   2: 0100007F:D431 0100007F:2BCB 01 00000000:00000000 00:00000000 00000000 11211        0 7777 1 0 20 4 30 10 -1
tcp6:   0: 00000000000000000000000000000000:2BCB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 11211        0 103 1 0 100 0 0 10 0
udp:  9: 00000000:2BCB 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 104 2 0 0
`

func TestParseSockets(t *testing.T) {
	own, others, err := parseSockets(lists)
	if err != nil || !slices.Equal(own, []Socket{{"tcp", 11211}}) || !slices.Equal(others, []Socket{{"tcp", 9150}, {"udp", 11211}}) {
		t.Errorf("own %v, others %v, %v", own, others, err)
	}
	// The kernel does not show who holds the sockets.
	if own, others, err := parseSockets("\n" + lists[len("101\n103\n7777\n\n"):]); err != nil || len(own) > 0 || len(others) != 3 {
		t.Errorf("own %v, others %v, %v", own, others, err)
	}
	for _, bad := range []string{"", "101\n", "\ntcp: 0: nonsense 00000000:0000 0A 1 2 3 4 5 6 7"} {
		if _, _, err := parseSockets(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestSocketsOfThisMachine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	own, _, err := Sockets(t.Context(), probetest.Host{}, "n", "p", "c")
	if want := (Socket{"tcp", l.Addr().(*net.TCPAddr).Port}); err != nil || !slices.Contains(own, want) {
		t.Errorf("%v lacks %v, %v", own, want, err)
	}
}
