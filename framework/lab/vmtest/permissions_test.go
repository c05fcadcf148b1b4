//go:build vm

package vmtest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// No process of the lab has a capability, and none can get one. QEMU, which runs
// what the guest wants, cannot call what a virtual machine does not need.
func (s *suite) testPermissions(t *testing.T) {
	status := s.lab.Status(during(t))
	isNode := map[string]bool{}
	for _, n := range status.Nodes {
		isNode[n.Name] = true
	}
	if want := 5 + len(status.Nodes); len(status.Processes) != want {
		t.Fatalf("processes %v: want %d", status.Processes, want)
	}
	for name, pid := range status.Processes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		has := map[string]string{}
		for line := range strings.Lines(string(text)) {
			field, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			has[field] = strings.TrimSpace(value)
		}
		const none = "0000000000000000"
		want := map[string]string{"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none, "NoNewPrivs": "1"}
		if isNode[name] {
			want["Seccomp"] = "2" // a filter
		}
		for field, value := range want {
			if has[field] != value {
				t.Errorf("%s, process %d: %s is %q, want %q", name, pid, field, has[field], value)
			}
		}
		t.Logf("%s: CapEff %s, CapBnd %s, NoNewPrivs %s, Seccomp %s", name, has["CapEff"], has["CapBnd"], has["NoNewPrivs"], has["Seccomp"])
	}
}
