// Package memcachedtest runs a memcached for tests that need no cluster.
package memcachedtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/wait"
)

// Start runs the memcached of the PATH on a free port of 127.0.0.1 for the time of
// the test, with more arguments, and returns its address.
func Start(t *testing.T, more ...string) string {
	t.Helper()
	path, err := exec.LookPath("memcached")
	if err != nil {
		t.Fatalf("%v; install memcached (Debian: apt-get install memcached)", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()

	args := append([]string{"-l", "127.0.0.1", "-p", strconv.Itoa(port), "-U", "0", "-m", "64"}, more...)
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	err = wait.Waiter{Interval: 10 * time.Millisecond}.Until(t.Context(), wait.PodRuns, "memcached at "+addr,
		func(ctx context.Context) (bool, string, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", addr)
			if err != nil {
				return false, "", err
			}
			return true, "open", conn.Close()
		})
	if err != nil {
		t.Fatal(err)
	}
	return addr
}
