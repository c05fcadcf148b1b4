//go:build vm

package vmtest

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/nodeshell"
	"pmem-memcached-e2e/framework/lab/power"
)

// onNode runs a line on a node and returns what it wrote and its exit code.
func (s *suite) onNode(t *testing.T, node, line string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	code, err := s.lab.Shell(context.WithoutCancel(during(t)), node, nodeshell.Session{Args: []string{line}, Stdout: &out, Stderr: &out})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String()), code
}

// A node has a shell, also when nothing of Kubernetes runs there and it has no
// network.
func (s *suite) testShell(t *testing.T) {
	for _, n := range s.lab.Status(during(t)).Nodes {
		if out, code := s.onNode(t, n.Name, "hostname; exit 9"); out != n.Name || code != 9 {
			t.Errorf("%s says %q, exit code %d", n.Name, out, code)
		}
	}
	const node = "node2"
	if out, code := s.onNode(t, node, "systemctl stop kubelet containerd && ip link set eth0 down"); code != 0 {
		t.Errorf("stop Kubernetes on %s: %s", node, out)
	}
	if out, code := s.onNode(t, node, "ip route && vgs --noheadings -o vg_name"); code != 0 || !strings.Contains(out, "fsdax") || strings.Contains(out, "default") {
		t.Errorf("%s without Kubernetes and network: %q, exit code %d", node, out, code)
	}
	s.power(t, node, power.Reboot)
}
