// Package liartest has a memcached that lies for tests that need no cluster.
package liartest

import (
	"context"
	"errors"
	"net"
	"testing"

	"pmem-memcached-e2e/framework/mutant/liar"
)

// Start puts a liar with a fault in front of the memcached at upstream for the
// time of the test, and returns its address.
func Start(t *testing.T, upstream string, fault liar.Fault) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- (&liar.Liar{Upstream: upstream, Fault: fault}).Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, liar.ErrDied) {
			t.Errorf("the liar ended: %v", err)
		}
	})
	return listener.Addr().String()
}
