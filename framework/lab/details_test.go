package lab

import (
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/state"
)

// A node that is off, and an API server that is not there, are reported and
// not waited for.
func TestDetailsOfWhatDoesNotAnswer(t *testing.T) {
	l := testLab(t)
	if err := l.state.Change(func(s *state.State) {
		s.Versions, s.Directories = artifact.DefaultVersions(), []string{"/cache/disk-1"}
		s.Plan = state.Plan{Nodes: 2, Accel: "tcg"}
		s.Phases = []state.Phase{{Name: "memory", Took: 1500 * time.Millisecond}}
	}); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	text := l.Details(t.Context(), Status{Nodes: []NodeStatus{{Name: "node1", Power: Down}, {Name: "node2", Power: Running}}}).String()
	if took := time.Since(start); took > detailsLimit {
		t.Errorf("took %s", took)
	}
	for _, want := range []string{
		"kubernetes               v1.", "memcached                1.6.", "accelerator              tcg",
		"node1      persistent memory        not known: the node is off",
		"node2      qemu", "node2      persistent memory        not known: kubeconfig",
		"phase      memory                     1.5s", "phase      all                        1.5s",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}
