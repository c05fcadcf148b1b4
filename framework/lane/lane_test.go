package lane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// lanes serves clients of a dispatcher until the test ends.
func lanes(t *testing.T, n int) (clients []*Client, leave []func()) {
	t.Helper()
	d := NewDispatcher(n)
	var served sync.WaitGroup
	for i := range n {
		own, far := net.Pipe()
		served.Go(func() {
			if err := d.Serve(i, own); err != nil {
				t.Error(err)
			}
		})
		clients = append(clients, newClient(far))
		leave = append(leave, func() { _ = far.Close() })
	}
	t.Cleanup(func() {
		for _, l := range leave {
			l()
		}
		served.Wait()
	})
	return clients, leave
}

func taken(t *testing.T, c *Client, id string, alone bool) bool {
	t.Helper()
	yes, err := c.Take(t.Context(), id, alone)
	if err != nil {
		t.Fatal(err)
	}
	return yes
}

// TestOnce has every spec run by one lane, whatever the lanes' pace.
func TestOnce(t *testing.T) {
	clients, _ := lanes(t, 3)
	var mu sync.Mutex
	var ran []string
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			for n := range 100 {
				if id := fmt.Sprintf("RST-%02d", n); taken(t, c, id, false) {
					mu.Lock()
					ran = append(ran, id)
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	slices.Sort(ran)
	if distinct := len(slices.Compact(slices.Clone(ran))); len(ran) != 100 || distinct != 100 {
		t.Errorf("%d runs of %d specs, want 100 of 100: %q", len(ran), distinct, ran)
	}
}

func TestAgain(t *testing.T) {
	clients, _ := lanes(t, 2)
	if !taken(t, clients[1], "RST-01", false) || taken(t, clients[0], "RST-01", false) {
		t.Fatal("a spec is that of the lane which asks first")
	}
	if !taken(t, clients[1], "RST-01", false) {
		t.Error("a lane has to get its own spec for a further attempt")
	}
}

func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clients, leave := lanes(t, 3)
		if taken(t, clients[1], "DRV-19", true) {
			t.Error("a spec that runs alone is the first lane's")
		}
		got := make(chan bool)
		go func() { got <- taken(t, clients[0], "DRV-19", true) }()
		for _, end := range leave[1:] {
			synctest.Wait()
			select {
			case <-got:
				t.Fatal("the spec runs next to another lane")
			default:
			}
			end()
		}
		if !<-got {
			t.Error("the first lane was refused a spec that runs alone")
		}
	})
}

func TestBegin(t *testing.T) {
	for name, end := range map[string]func(context.Context, *Client, func()) error{
		"the first lane has looked": func(ctx context.Context, c *Client, _ func()) error { return c.Begun(ctx) },
		"the first lane has ended":  func(_ context.Context, _ *Client, leave func()) error { leave(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clients, leave := lanes(t, 2)
				if err := clients[0].Begin(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := make(chan error, 1)
				go func() { got <- clients[1].Begin(t.Context()) }()
				synctest.Wait()
				if len(got) > 0 {
					t.Fatal("the second lane begins before the first one has looked at the cluster")
				}
				if err := errors.Join(end(t.Context(), clients[0], leave[0]), <-got); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestInterrupted(t *testing.T) {
	clients, _ := lanes(t, 2)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the run was interrupted")
	go cancel(cause)
	if _, err := clients[0].Take(ctx, "DRV-19", true); !errors.Is(err, cause) {
		t.Errorf("error %v, want %v", err, cause)
	}
}

// TestAllSpecs has a process that shares its specs with no other.
func TestAllSpecs(t *testing.T) {
	var c *Client
	if err := errors.Join(c.Begin(t.Context()), c.Begun(t.Context())); err != nil {
		t.Error(err)
	}
	if !taken(t, c, "RST-01", false) || !taken(t, c, "DRV-19", true) {
		t.Error("a spec was refused")
	}
}

func TestPair(t *testing.T) {
	own, far, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.FileConn(far)
	if err != nil {
		t.Fatal(err)
	}
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- NewDispatcher(1).Serve(0, own) }()
	if !taken(t, newClient(conn), "RST-01", true) {
		t.Error("the only lane was refused a spec")
	}
	if err := errors.Join(conn.Close(), <-served, own.Close()); err != nil {
		t.Error(err)
	}
}
