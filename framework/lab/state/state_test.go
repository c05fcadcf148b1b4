package state

import (
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/topology"
)

func TestStateIsReadAsWritten(t *testing.T) {
	f := Of(Dir(filepath.Join(t.TempDir(), "test")))
	if s, err := f.Read(); err != nil || !reflect.DeepEqual(s, State{}) || s.Made() {
		t.Errorf("without a lab: %+v, %v", s, err)
	}
	want := State{
		Ready:       true,
		Versions:    artifact.Versions{Kubernetes: "v1.36.3", Memcached: []string{"1.6.18", "1.6.38"}, Kernel: "6.12"},
		Directories: []string{"/cache/disk-1"},
		Plan:        Plan{Nodes: 3, PMEM: 512, Accel: "tcg", Driver: pmemcsi.LVM, Kernel: "/k", InitRD: "/i", Disk: "/d"},
		Phases:      []Phase{{"memory", 0}, {"parts", time.Second}},
		Nodes:       map[string]Node{"node2": {Off: true, Boot: "first"}},
	}
	if err := f.Change(func(s *State) { *s = want }); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Read(); err != nil || !reflect.DeepEqual(got, want) || !got.Made() {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestStateThatIsNone(t *testing.T) {
	dir := Dir(filepath.Join(t.TempDir(), "test"))
	for _, text := range []string{
		"", `{"plan": {"nodes": 2`, `{"plan": {"nodes": 9}}`, `{"plan": {"nodes": -1}}`,
		`{"versions": {"kubernetes": "v1.36.3"}, "directories": ["/cache/disk-1"]}`,
		`{"versions": {"kubernetes": "v1.36.3", "memcached": ["1.6.18"]}}`, `{"directories": ["/cache/disk-1"]}`,
	} {
		if err := private.WriteFile(dir.Path(fileName), []byte(text)); err != nil {
			t.Fatal(err)
		}
		_, err := Of(dir).Read()
		for _, want := range []string{"lab test", dir.Path(fileName), "make lab-down"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q in it", text, err, want)
			}
		}
		if err := Of(dir).Change(func(*State) { t.Errorf("%q is changed", text) }); err == nil {
			t.Errorf("%q is changed", text)
		}
	}
}

// Nodes of a lab are switched on in parallel.
func TestChangesInParallel(t *testing.T) {
	f := Of(Dir(filepath.Join(t.TempDir(), "test")))
	var changing sync.WaitGroup
	for _, n := range topology.Nodes(topology.MaxNodes) {
		changing.Go(func() {
			if err := f.ChangeNode(n, func(node *Node) { node.Boot = n.Name() }); err != nil {
				t.Error(err)
			}
		})
	}
	changing.Wait()
	s, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range topology.Nodes(topology.MaxNodes) {
		if got := s.Nodes[n.Name()].Boot; got != n.Name() {
			t.Errorf("of %s is written down %q", n.Name(), got)
		}
	}
}
