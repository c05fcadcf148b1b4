package snapshot

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/progress"
)

func TestArtifactKey(t *testing.T) {
	store, err := artifact.Open(t.TempDir(), progress.Lines(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	qemu := "QEMU emulator version 10.0.8"
	path := func(change func(*state.Plan, *artifact.Parts)) string {
		t.Helper()
		plan := state.Plan{Nodes: 1, PMEM: 2048, Driver: pmemcsi.LVM, Accel: "tcg"}
		parts := &artifact.Parts{Kubernetes: "/cache/kubernetes", Etcd: "/cache/etcd", Directories: []string{"/cache/disk-1"}}
		change(&plan, parts)
		a, err := Artifact(plan, parts, qemu)
		if err != nil {
			t.Fatal(err)
		}
		return store.Path(a)
	}
	same := path(func(*state.Plan, *artifact.Parts) {})
	if path(func(p *state.Plan, _ *artifact.Parts) { p.Memory = "/elsewhere" }) != same {
		t.Error("another snapshot for a lab of the same kind, whose memory is elsewhere")
	}
	for name, change := range map[string]func(*state.Plan, *artifact.Parts){
		"nodes":       func(p *state.Plan, _ *artifact.Parts) { p.Nodes = 2 },
		"pmem":        func(p *state.Plan, _ *artifact.Parts) { p.PMEM = 1024 },
		"accelerator": func(p *state.Plan, _ *artifact.Parts) { p.Accel = "kvm" },
		"driver":      func(p *state.Plan, _ *artifact.Parts) { p.Driver = pmemcsi.Direct },
		"kubernetes":  func(_ *state.Plan, p *artifact.Parts) { p.Kubernetes = "/cache/older" },
		"disk":        func(_ *state.Plan, p *artifact.Parts) { p.Directories = []string{"/cache/disk-2"} },
	} {
		if path(change) == same {
			t.Errorf("%s: the same snapshot for a lab of another kind", name)
		}
	}
	qemu = "QEMU emulator version 7.2.22"
	if path(func(*state.Plan, *artifact.Parts) {}) == same {
		t.Error("the same snapshot for another QEMU")
	}
}

func TestKeysOutlastASnapshot(t *testing.T) {
	if life > plane.KeyLife/2 {
		t.Errorf("a snapshot is used for %s and its keys are valid for %s: a lab from it would have less than half of that", life, plane.KeyLife)
	}
}

func TestOpenConnections(t *testing.T) {
	const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	for _, c := range []struct {
		name, lines string
		want        int
	}{
		{"none", "", 0},
		{"listens", "   0: 0100001EAC:192B 00000000:0000 0A 0 0\n", 0},
		{"established", "   0: 01001EAC:192B 0B001EAC:C350 01 0 0\n", 1},
		{"other end has not closed", "   0: 01001EAC:192B 0B001EAC:C350 05 0 0\n   1: 01001EAC:192B 0B001EAC:C351 04 0 0\n", 2},
		{"closed by both", "   0: 01001EAC:192B 0B001EAC:C350 06 0 0\n", 0},
		{"etcd", "   0: 0100007F:094B 0100007F:8A2C 01 0 0\n", 0},
		{"the client's end", "   0: 0100007F:8A2C 01001EAC:192B 01 0 0\n", 0},
	} {
		path := filepath.Join(t.TempDir(), "tcp")
		if err := os.WriteFile(path, []byte(header+c.lines), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := openConnections(path); got != c.want || err != nil {
			t.Errorf("%s: %d connections (%v), want %d", c.name, got, err, c.want)
		}
	}
	if _, err := openConnections(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file: no error")
	}
}
