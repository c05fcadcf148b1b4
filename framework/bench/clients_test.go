package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/load"
	"pmem-memcached-e2e/framework/mutant/liar/liartest"
	"pmem-memcached-e2e/framework/wait"
)

// server starts a memcached on a free port of the loopback device.
func server(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	_ = listener.Close()
	cmd := exec.Command("memcached", "-U", "0", "-l", "127.0.0.1", "-p", port, "-u", "nobody", "-t", "1")
	if err := cmd.Start(); err != nil {
		t.Fatalf("start memcached: %v; install its package", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	err = wait.Waiter{Interval: 10 * time.Millisecond}.Until(t.Context(), wait.PodRuns, "memcached at "+addr, func(context.Context) (bool, string, error) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil, "", err
	})
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// here is a client in this process. It reads its program first, as one in a
// pod does.
func here(ctx context.Context, stdin io.Reader, stdout, _ io.Writer) error {
	if _, err := io.CopyN(io.Discard, stdin, int64(len(program))); err != nil {
		return err
	}
	return load.Serve(ctx, stdin, stdout)
}

const program = "a program"

// together makes clients out of attachments.
func together(t *testing.T, attachments ...attach) (*Clients, error) {
	t.Helper()
	c := &Clients{waiter: wait.Waiter{Limits: map[wait.Name]time.Duration{
		wait.LoadReady: 3 * time.Second, wait.LoadStored: 3 * time.Second, wait.LoadEnds: 300 * time.Millisecond}}}
	for i, a := range attachments {
		c.links = append(c.links, newLink(t.Context(), fmt.Sprintf("client %d", i), []byte(program), a))
	}
	return c, c.begin(t.Context())
}

func options(addr string) load.Options {
	o := load.Default(addr)
	o.Connections, o.Keys, o.WarmUp, o.Duration, o.Timeout = 8, 1000, 20*time.Millisecond, 300*time.Millisecond, 500*time.Millisecond
	return o
}

func TestLoadIsSharedOut(t *testing.T) {
	c, err := together(t, here, here, here)
	if err != nil {
		t.Fatal(err)
	}
	o := options(server(t))
	o.Rate, o.Owned, o.Sets = 3000, true, 5
	r, err := c.Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Wrong+r.Errors+r.Misses+r.Lost != 0 || r.Options.Connections != 8 || r.Options.Rate < 2999 || r.Options.Rate > 3001 || r.Answered() < 500 {
		t.Errorf("%s", r)
	}
	o.Connections = 2
	var refused *load.FieldError
	if _, err := c.Load(t.Context(), o); !errors.As(err, &refused) || refused.Field != "Connections" {
		t.Errorf("two connections for three clients: %v", err)
	}
}

// TestLostClients loses some of the clients, in every phase of a load.
func TestLostClients(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: run it without -short")
	}
	addr := server(t)
	dead := func(context.Context, io.Reader, io.Writer, io.Writer) error { return errors.New("pod not found") }
	broken := func(_ context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
		_, _ = io.CopyN(io.Discard, stdin, int64(len(program)))
		fmt.Fprintln(stderr, "sh: load: Exec format error")
		return nil
	}
	// slain ends while it measures.
	slain := func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
		limited, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		return here(limited, stdin, &spy{stdout, func(answers int) {
			if answers == 2 {
				cancel(errors.New("node lost"))
			}
		}, 0}, stderr)
	}
	silent := func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
		return here(ctx, stdin, &spy{stdout, func(answers int) {
			if answers == 3 {
				<-ctx.Done()
			}
		}, 0}, stderr)
	}
	// deaf reads no order.
	deaf := func(ctx context.Context, stdin io.Reader, stdout, _ io.Writer) error {
		_, _ = io.CopyN(io.Discard, stdin, int64(len(program)))
		fmt.Fprintln(stdout, `{"ready":true}`)
		<-ctx.Done()
		return nil
	}
	for name, test := range map[string]struct {
		other attach
		want  string
	}{
		"before it begins":    {dead, "client 1 was lost: pod not found"},
		"no such program":     {broken, `client 1 was lost: its process ended: "sh: load: Exec format error"`},
		"while it measures":   {slain, "1 of 2 clients are not in these figures"},
		"without a last word": {silent, "client 1 was lost: waited"},
	} {
		c, err := together(t, here, test.other)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r, err := c.Load(t.Context(), options(addr))
		if err != nil || len(r.Invalid) == 0 || !strings.Contains(strings.Join(r.Invalid, "\n"), test.want) || r.Answered() == 0 {
			t.Errorf("%s: %v, invalid %q, %d answers, want %q", name, err, r.Invalid, r.Answered(), test.want)
		}
		c, err = together(t, test.other)
		if err == nil {
			_, err = c.Load(t.Context(), options(addr))
		}
		if err == nil {
			t.Errorf("%s: nobody is left, and no error", name)
		}
	}
	c, err := together(t, here, deaf)
	if err == nil {
		_, err = c.Load(t.Context(), options(addr))
	}
	if err == nil || !strings.Contains(err.Error(), "keys are missing, which a lost client had to store: client 1 was lost: waited 3s") {
		t.Errorf("a client that reads no order: %v", err)
	}
}

// spy reports how many answers were written.
type spy struct {
	io.Writer
	reported func(answers int)
	n        int
}

func (s *spy) Write(p []byte) (int, error) {
	s.n++
	s.reported(s.n)
	return s.Writer.Write(p)
}

func TestLoadThatCannotTakePlace(t *testing.T) {
	c, err := together(t, here)
	if err != nil {
		t.Fatal(err)
	}
	o := options("127.0.0.1:1")
	if _, err := c.Load(t.Context(), o); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("nobody listens: %v", err)
	}
	lying := liartest.Start(t, server(t), "drops-connection")
	var bad *ServerError
	if _, err := c.Load(t.Context(), options(lying)); !errors.As(err, &bad) || bad.Addr != lying || fault.Of(err) != fault.Deployment {
		t.Errorf("a server that closes connections: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Load(ended, options(server(t))); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestSkew(t *testing.T) {
	at := time.Now()
	results := []load.Result{{Began: at}, {Began: at.Add(-2 * time.Second)}, {Began: at.Add(time.Second)}}
	if got := skew(results); got != 3*time.Second {
		t.Errorf("skew is %s", got)
	}
}
