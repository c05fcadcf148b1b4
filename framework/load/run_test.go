package load

import (
	"context"
	"errors"
	"math"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// realServer starts a memcached on a free port of the loopback device.
func realServer(t testing.TB, args ...string) string {
	t.Helper()
	addr, standard := free(t)
	start(t, addr, append(standard, args...)...)
	return addr
}

// free returns an address that nobody listens on, and the command of a
// memcached that does.
func free(t testing.TB) (addr string, command []string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	return listener.Addr().String(), []string{"memcached", "-U", "0", "-l", "127.0.0.1", "-p", strconv.Itoa(port), "-u", "nobody", "-t", "1"}
}

func start(t testing.TB, addr string, command ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v; install its package", command[0], err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	awaitListener(t, addr)
	return cmd
}

func awaitListener(t testing.TB, addr string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(10 * time.Second); ; <-tick.C {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("nobody listens on %s: %v", addr, err)
		}
	}
}

// notShort is for tests that take a second and more.
func notShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes a second and more: run it without -short")
	}
}

func short(addr string) Options {
	o := Default(addr)
	o.Connections, o.Keys, o.WarmUp, o.Duration = 8, 1000, 50*time.Millisecond, 300*time.Millisecond
	return o
}

func TestRun(t *testing.T) {
	notShort(t)
	t.Parallel()
	addr := realServer(t)
	tests := map[string]func(*Options){
		"closed":            func(*Options) {},
		"text":              func(o *Options) { o.Protocol = Text },
		"deep":              func(o *Options) { o.Depth = 32 },
		"deep text":         func(o *Options) { o.Protocol, o.Depth = Text, 16 },
		"multiget":          func(o *Options) { o.Multiget, o.Depth = 16, 4 },
		"multiget text":     func(o *Options) { o.Protocol, o.Multiget, o.Depth = Text, 16, 4 },
		"keys asked twice":  func(o *Options) { o.Multiget, o.Keys, o.Popular = 16, 20, Zipf(1.2) },
		"twice in text":     func(o *Options) { o.Protocol, o.Multiget, o.Keys, o.Popular = Text, 16, 20, Zipf(1.2) },
		"open":              func(o *Options) { o.Rate = 5000 },
		"open and constant": func(o *Options) { o.Rate, o.Arrivals = 5000, Constant },
		"threads":           func(o *Options) { o.Threads = 3 },
		"large values":      func(o *Options) { o.Values, o.Keys, o.Depth = Between(16, 700000), 30, 4 },
		"published sizes":   func(o *Options) { o.Values = Etc(4000) },
		"deletes and expiry": func(o *Options) {
			o.Deletes, o.Expiry, o.MayMiss = 2, time.Second, true
		},
		"deletes in text":  func(o *Options) { o.Protocol, o.Deletes, o.Expiry, o.MayMiss = Text, 2, time.Hour, true },
		"misses":           func(o *Options) { o.Multiget, o.Deletes, o.MayMiss = 8, 5, true },
		"misses in text":   func(o *Options) { o.Protocol, o.Multiget, o.Deletes, o.MayMiss = Text, 8, 5, true },
		"sampled, hot set": func(o *Options) { o.Verify, o.Popular = 10, Hot(0.1, 0.9) },
		"owned":            func(o *Options) { o.Owned, o.Depth, o.Multiget, o.Sets, o.Threads, o.Keys = true, 8, 4, 9, 2, 101 },
		"sequential sets":  func(o *Options) { o.Gets, o.Popular = 0, Sequential() },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := short(addr)
			o.Prefix = strings.Map(func(r rune) rune { return max(r, '-') }, name) + "-"
			o.KeySize = len(o.Prefix) + 8
			change(&o)
			r, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Wrong != 0 || r.Errors != 0 || r.Unsent != 0 || r.Lost != 0 || r.Answered() == 0 {
				t.Errorf("a healthy server: %s", r)
			}
			if o.Gets > 0 && r.Hits == 0 || !o.MayMiss && r.Misses != 0 || o.Deletes > 0 && r.Misses == 0 {
				t.Errorf("hits and misses: %s", r)
			}
			if want := r.Get.TotalCount() * int64(o.Multiget); r.Hits+r.Misses != want {
				t.Errorf("%d hits and %d misses, want %d in all", r.Hits, r.Misses, want)
			}
			if r.ServerCPUUnknown != "" || r.ServerCPU <= 0 || r.ServerCPU > 2*r.Elapsed {
				t.Errorf("the server used %s in %s: %v", r.ServerCPU, r.Elapsed, r.ServerCPUUnknown)
			}
			if want := o.Rate * o.Duration.Seconds(); o.Arrivals == Constant && o.Rate > 0 && math.Abs(float64(r.Answered())-want) > 1 {
				t.Errorf("%d requests, want %.0f, however late: %s", r.Answered(), want, r)
			}
			var ticks int64
			for _, n := range r.Ticks {
				ticks += n
			}
			if ticks != r.Answered() {
				t.Errorf("%d answers in the ticks, %d in the histograms", ticks, r.Answered())
			}
		})
	}
}

// TestWrongAnswers changes what the server holds behind the client's back.
func TestWrongAnswers(t *testing.T) {
	c := newContents(Between(20, 60), 1)
	const key, stamp = 77, 5
	good := c.append(nil, key, stamp, c.sizes.of(key))
	if !c.holds(key, good) {
		t.Fatal("a value is not recognised")
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1
		if c.holds(key, bad) {
			t.Errorf("byte %d was changed and nobody noticed", i)
		}
	}
	if c.holds(key+1, good) || c.holds(key, good[:len(good)-1]) || c.holds(key, append(good, 'x')) || c.holds(key, nil) {
		t.Error("another key's value, or one of another length, is taken")
	}
}

func TestServerRestarts(t *testing.T) {
	notShort(t)
	t.Parallel()
	addr, command := free(t)
	first := start(t, addr, command...)
	o := short(addr)
	o.MayMiss, o.WarmUp, o.Duration = true, 0, 2*time.Second
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-time.After(500 * time.Millisecond)
		_ = first.Process.Kill()
		_ = first.Wait()
		<-time.After(300 * time.Millisecond)
		start(t, addr, command...)
	}()
	r, err := Run(t.Context(), o)
	<-done
	if err != nil {
		t.Fatal(err)
	}
	if r.Lost == 0 || r.Errors == 0 || len(r.Outages) != 1 || r.Outages[0] < 250*time.Millisecond || r.Misses == 0 || r.Wrong != 0 {
		t.Errorf("a server that restarted: %s", r)
	}
}

// TestConnectionLimit has two limits: the one that the server reports, and the
// lower one that it has, because its own files count too.
func TestConnectionLimit(t *testing.T) {
	o := short(realServer(t, "-c", "50"))
	o.Connections = 100
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), `Connections="100": give up to 49`) {
		t.Errorf("more than the server reports: %v", err)
	}
	o.Connections = 48
	r, err := Run(t.Context(), o)
	if err != nil && !strings.Contains(err.Error(), "Too many open connections") {
		t.Fatal(err)
	}
	if err == nil && (r.Errors == 0 || len(r.Complaints) == 0 || len(r.Outages) > 0) {
		t.Errorf("%s", r)
	}
}

func TestRunThatCannotTakePlace(t *testing.T) {
	closed, _ := free(t)
	if _, err := Run(t.Context(), short(closed)); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("nobody listens: %v", err)
	}
	o := short(realServer(t))
	o.Values = Fixed(2 << 20) // item max is 1 MiB
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), `Values="2097152": give up to`) {
		t.Errorf("values beyond item max: %v", err)
	}
	o = short(realServer(t))
	o.Duration = time.Minute
	for _, within := range []time.Duration{0, time.Minute} {
		o.SteadyWithin = within
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if _, err := Run(ctx, o); err == nil || !strings.Contains(err.Error(), "deadline") {
			t.Errorf("stopped: %v", err)
		}
		cancel()
	}
	if _, err := Run(t.Context(), Options{}); err == nil || strings.Count(err.Error(), "\n") < 8 {
		t.Errorf("no options: %v", err)
	}
}

// TestServerThatDoesNotTakeConnections connects to a listener whose queue is
// full, where the kernel drops attempts to connect and repeats them ever later.
func TestServerThatDoesNotTakeConnections(t *testing.T) {
	addr, _ := free(t)
	closeAll, err := fullListener(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	loops, err := newLoops(short(addr), newBeginning())
	if err != nil {
		t.Fatal(err)
	}
	l := loops[0]
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.phase = running
	c := l.conns[0]
	if err := l.connect(c); err != nil {
		t.Fatal(err)
	}
	began := l.now()
	for c.state == connecting && l.now()-began < int64(20*time.Second) {
		if err := l.step(patrolEvery); err != nil {
			t.Fatal(err)
		}
	}
	waited := l.now() - began
	if c.state == connecting || waited < connectIn || !strings.Contains(strings.Join(l.stats.complaints, "\n"), "connect: no answer") {
		t.Errorf("after %s the attempt was not given up: %q", time.Duration(waited), l.stats.complaints)
	}
}

// fullListener takes no connections until it is closed.
func fullListener(addr string) (closeAll func(), err error) {
	to := netip.MustParseAddrPort(addr)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	closeAll = func() { _ = unix.Close(fd) }
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}), unix.Listen(fd, 0))
	for range 2 { // the queue holds one more than it was given
		if err == nil {
			var c int
			if c, err = dial(to); err == nil {
				inner := closeAll
				closeAll = func() { _ = unix.Close(c); inner() }
			}
		}
	}
	return closeAll, err
}
