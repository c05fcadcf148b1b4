package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAddress(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", ":11211"},
		{"-p 11300 -I 2m", ":11300"},
		{"-p11300", ":11300"},
		{"--port=11300 --memory-limit=64", ":11300"},
		{"--port 11300 -p 11301", ":11301"},
		{"-l 127.0.0.1,::1 -m 64", "127.0.0.1:11211"},
		{"--listen=::1", "[::1]:11211"},
		{"-vv -o slab_automove=0", ":11211"},
		{"-h", ""},
		{"-m 64 --version", ""},
	} {
		if got := address(strings.Fields(tt.args)); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.args, got, tt.want)
		}
	}
}

// TestLies has the program run a real memcached, in a process of its own, and end as that one does.
func TestLies(t *testing.T) {
	memcached, err := exec.LookPath("memcached")
	if err != nil {
		t.Fatalf("%v: install memcached (Debian package memcached)", err)
	}
	program := filepath.Join(t.TempDir(), "memcached")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	port, err := freePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	start := func(fault string, args ...string) *exec.Cmd {
		c := exec.CommandContext(t.Context(), program, args...)
		c.Env = append(os.Environ(), realVariable+"="+memcached, faultVariable+"="+fault)
		return c
	}
	if output, err := start("no-fault", "-p", port).CombinedOutput(); err == nil || !strings.Contains(string(output), "no-fault is no fault: there are [accepts-limits") {
		t.Errorf("of an unknown fault: %v, %s", err, output)
	}
	if output, err := start("", "-V").Output(); err != nil || !strings.HasPrefix(string(output), "memcached ") {
		t.Errorf("the version: %v, %s", err, output)
	}

	for fault, want := range map[string]string{"": "VALUE a 5 1", "loses-flags": "VALUE a 0 1"} {
		c := start(fault, "-u", "nobody", "-l", "127.0.0.1", "-p", port)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, net.JoinHostPort("127.0.0.1", port), "set a 5 0 1\r\nx\r\nget a\r\nquit\r\n"); !strings.Contains(got, want) {
			t.Errorf("with the fault %q: %q, want %q", fault, got, want)
		}
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", c.Process.Pid)); err != nil || string(name) != ownName+"\n" {
			t.Errorf("its process has the name %q, %v", name, err)
		}
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("with the fault %q it ended with %v after SIGTERM, want 0 as of memcached", fault, err)
		}
	}
}

// ask returns all answers to requests, once somebody listens.
func ask(t *testing.T, address, requests string) string {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for ; ; <-tick.C {
		c, err := net.Dial("tcp", address)
		if err != nil {
			if time.Now().After(deadline) {
				t.Fatalf("nobody listens at %s within a minute: %v", address, err)
			}
			continue
		}
		defer c.Close()
		if err := c.SetDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprint(c, requests); err != nil {
			t.Fatal(err)
		}
		var answers strings.Builder
		for lines := bufio.NewScanner(c); lines.Scan(); {
			fmt.Fprintln(&answers, lines.Text())
		}
		return answers.String()
	}
}
