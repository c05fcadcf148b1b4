package load

import (
	"bufio"
	"context"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// server starts a real memcached on a free port of the loopback device.
func server(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("memcached", "-U", "0", "-l", "127.0.0.1", "-p", strconv.Itoa(port), "-u", "nobody", "-v")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start memcached: %v; install the package memcached", err)
	}
	log := make(chan string, 1)
	go func() {
		var text strings.Builder
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			text.WriteString(lines.Text() + "\n")
		}
		log <- text.String()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		text := <-log
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("memcached wrote:\n%s", text)
		}
	})
	for limit := time.Now().Add(10 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = conn.Close()
			return addr
		}
		if time.Now().After(limit) {
			t.Fatalf("memcached does not listen on %s: %v", addr, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func small(addr string) Options {
	return Options{
		Addr: addr, Connections: 2, Keys: 20, ValueSize: 100, GetPercent: 80,
		Duration: 300 * time.Millisecond, Timeout: 5 * time.Second, Seed: 1,
	}
}

func TestRunMeasuresAndVerifies(t *testing.T) {
	res, err := Run(t.Context(), small(server(t)))
	if err != nil {
		t.Fatal(err)
	}
	if res.Wrong != 0 || res.Errors != 0 {
		t.Fatalf("a healthy server: %s", res)
	}
	if res.Get.Count == 0 || res.Set.Count == 0 || res.Operations != res.Get.Count+res.Set.Count {
		t.Errorf("counts do not fit: %+v", res)
	}
	if share := float64(res.Get.Count) / float64(res.Operations); share < 0.7 || share > 0.9 {
		t.Errorf("share of gets %.2f, want about 0.80", share)
	}
	l := res.Get
	if l.P50 <= 0 || l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.P999 || l.P999 > l.Max {
		t.Errorf("percentiles are not in order: %+v", l)
	}
	if res.Elapsed < 300*time.Millisecond || res.PerSecond() <= 0 {
		t.Errorf("elapsed %s, %f per second", res.Elapsed, res.PerSecond())
	}
	for _, part := range []string{"ops/s", "p99.9", "0 wrong"} {
		if !strings.Contains(res.String(), part) {
			t.Errorf("%q lacks %q", res, part)
		}
	}
}

func TestRunNoticesWrongAnswers(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*memcache.Client) error
		want  string
	}{
		{"foreign value", func(c *memcache.Client) error {
			return c.Set(&memcache.Item{Key: "load-0000000000000001-0", Value: []byte("foreign")})
		}, "7 bytes that are not version"},
		{"lost key", func(c *memcache.Client) error { return c.Delete("load-0000000000000001-0") }, "a miss"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := server(t)
			o := small(addr)
			o.Keys, o.Connections, o.GetPercent = 1, 1, 100
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				client := memcache.New(addr)
				defer client.Close()
				for {
					select {
					case <-stop:
						return
					default:
						_ = tt.spoil(client) // what counts is that the load notices
					}
				}
			}()
			res, err := Run(t.Context(), o)
			close(stop)
			<-stopped
			if err != nil {
				t.Fatal(err)
			}
			if res.Wrong == 0 || !strings.Contains(res.String(), tt.want) {
				t.Errorf("not noticed: %s", res)
			}
		})
	}
}

func TestRunNoticesAServerThatGoesAway(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { // answers one set, then hangs up
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		r := bufio.NewReader(conn)
		for range 2 {
			if _, err := r.ReadString('\n'); err != nil {
				break
			}
		}
		_, _ = conn.Write([]byte("STORED\r\n"))
		_ = listener.Close()
		_ = conn.Close()
	}()
	o := small(listener.Addr().String())
	o.Keys, o.Connections, o.ValueSize = 1, 1, 16
	o.Seed = 5 // this value holds no line feed
	res, err := Run(t.Context(), o)
	if err == nil && res.Errors == 0 {
		t.Fatalf("not noticed: %s", res)
	}
}

func TestRunRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"no connection", func(o *Options) { o.Connections = 0 }, "Connections is 0"},
		{"too few keys", func(o *Options) { o.Keys = 1 }, "Keys is 1"},
		{"tiny values", func(o *Options) { o.ValueSize = 1 }, "ValueSize is 1"},
		{"share", func(o *Options) { o.GetPercent = 101 }, "GetPercent is 101"},
		{"no time", func(o *Options) { o.Duration = 0 }, "Duration is 0s"},
		{"no time-out", func(o *Options) { o.Timeout = 0 }, "Timeout is 0s"},
		{"nobody listens", func(o *Options) { o.Addr = "127.0.0.1:1" }, "store the keys at 127.0.0.1:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := small("127.0.0.1:1")
			tt.change(&o)
			if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run() = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	o := small(server(t))
	o.Duration = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := Run(ctx, o); err == nil {
		t.Error("a run that was stopped reports a result")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("stopped only after %s", took)
	}
}
