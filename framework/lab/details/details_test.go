package details

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/wait"
)

// A node that is off, and an API server that is not there, are reported and
// not waited for.
func TestDetailsOfWhatDoesNotAnswer(t *testing.T) {
	dir := state.Dir(filepath.Join(t.TempDir(), "test"))
	file := state.Of(dir)
	if err := file.Change(func(s *state.State) {
		s.Versions, s.Directories = artifact.DefaultVersions(), []string{"/cache/disk-1"}
		s.Plan = state.Plan{Nodes: 2, Accel: "tcg"}
		s.Phases = []state.Phase{{Name: "memory", Took: 1500 * time.Millisecond}}
	}); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	programs := process.Of(dir, wait.Scale{})
	machines := []vm.Machine{{Node: 1, Dir: dir, Programs: programs}, {Node: 2, Dir: dir, Programs: programs}}
	text := Of(t.Context(), file, machines, []vm.Power{vm.Off, vm.Running}).String()
	if took := time.Since(start); took > limit {
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
