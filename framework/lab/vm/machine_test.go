package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
)

// longest is the state directory with the longest path.
var longest = state.Dir(filepath.Join("/var/tmp/pmem-memcached-e2e-4294967295", "123456789012"))

func TestQEMU(t *testing.T) {
	m := Machine{Node: 2, Dir: "/run/test", Plan: state.Plan{Nodes: 2, PMEM: 1024, Accel: "tcg", Kernel: "/k", InitRD: "/i", Disk: "/d"}}
	args := strings.Join(m.Command().Args, " ")
	for _, want := range []string{
		"-name pmem-lab-test-node2", "-m 4096", "memmap=1024M!5G", "ifname=tap-node2", "mac=52:54:00:1a:b0:02",
		"file=" + m.Dir.Path("nodes/node2/disk.qcow2"), "logfile=" + m.Dir.Path("logs/node2/console.log"),
	} {
		if !strings.Contains(args, want) {
			t.Errorf("%q is missing in %s", want, args)
		}
	}
	m = Machine{Node: topology.MaxNodes, Dir: longest}
	for _, socket := range []string{consoleFile, monitorFile} {
		// sun_path of unix(7).
		if path := m.file(socket); len(path) > 107 {
			t.Errorf("%s is too long for a socket: %d bytes", path, len(path))
		}
	}
}

func TestEach(t *testing.T) {
	machines := []Machine{{Node: 1}, {Node: 2}, {Node: 3}}
	err := Each(t.Context(), machines, func(_ context.Context, m Machine) error {
		if m.Node == 3 {
			return errors.New("no power")
		}
		return nil
	})
	if got := fmt.Sprint(err); got != "node3: no power" {
		t.Errorf("got %q", got)
	}
}

func TestClock(t *testing.T) {
	m := Machine{Node: 1, Dir: state.Dir(t.TempDir())}
	if err := os.MkdirAll(m.Dir.Node(1), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a node that starts again has the pipes
		if err := m.makeClock(); err != nil {
			t.Fatal(err)
		}
	}
	// As QEMU opens it.
	end, err := os.OpenFile(m.file(clockPipe+".in"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	before := time.Now()
	if err := m.SetClock(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	n, err := end.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	seconds, _, _ := strings.Cut(string(line[:n]), ".")
	if got, err := time.ParseDuration(seconds + "s"); err != nil || time.Unix(int64(got.Seconds()), 0).Before(before.Truncate(time.Second)) {
		t.Errorf("the clock is set to %q (%v) at %d", line[:n], err, before.Unix())
	}
	m.Node = 2
	if err := m.SetClock(); err == nil || !strings.Contains(err.Error(), "node2") {
		t.Errorf("a node without the pipe: %v", err)
	}
}

func TestShellPortIsForOneSession(t *testing.T) {
	m := Machine{Node: 1, Dir: state.Dir(t.TempDir())}
	if _, _, err := m.ShellPort(); err == nil || !strings.Contains(err.Error(), "earlier revision") {
		t.Errorf("without ports: %v", err)
	}
	for _, port := range shellPorts {
		if err := private.WriteFile(m.file(port+".sock"), nil); err != nil {
			t.Fatal(err)
		}
	}
	var last func()
	taken := map[string]bool{}
	for range shellPorts {
		path, unlock, err := m.ShellPort()
		if err != nil || taken[path] {
			t.Fatalf("%s is taken twice, or %v", path, err)
		}
		taken[path], last = true, unlock
	}
	if _, _, err := m.ShellPort(); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("one session too many: %v", err)
	}
	last()
	if _, unlock, err := m.ShellPort(); err != nil {
		t.Errorf("after one has ended: %v", err)
	} else {
		unlock()
	}
}

// The sockets of a node are the ports of its machine, and their paths are short
// enough.
func TestShellArguments(t *testing.T) {
	m := Machine{Node: topology.MaxNodes, Dir: longest}
	args := strings.Join(shellArguments(m.file), " ")
	for _, port := range shellPorts {
		path := m.file(port + ".sock")
		if !strings.Contains(args, "path="+path) || len(path) > 107 {
			t.Errorf("%s is too long or not in %s", path, args)
		}
	}
}
