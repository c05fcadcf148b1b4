package lab

import (
	"os"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
)

func TestPhasesAreRead(t *testing.T) {
	l := testLab(t)
	if phases, err := l.readPhases(); len(phases) > 0 || err != nil {
		t.Errorf("without a lab: %v, %v", phases, err)
	}
	for i, name := range []string{"memory", "parts"} {
		if err := l.recordPhase(name, time.Duration(i)*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	phases, err := l.readPhases()
	if err != nil || len(phases) != 2 || phases[1] != (PhaseTime{"parts", time.Second}) {
		t.Errorf("got %v, %v", phases, err)
	}
	if err := os.WriteFile(l.dir.Path(phasesFile), []byte("["), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.readPhases(); err == nil || !strings.Contains(err.Error(), phasesFile) {
		t.Errorf("torn: %v", err)
	}
}

// A node that is off, and an API server that is not there, are told and not
// waited for.
func TestDetailsOfWhatDoesNotAnswer(t *testing.T) {
	l := testLab(t)
	l.plan.Nodes, l.plan.Accel = 2, "tcg"
	if err := l.writePlan(); err != nil {
		t.Fatal(err)
	}
	if err := l.writeMade(made{Versions: artifact.DefaultVersions()}); err != nil {
		t.Fatal(err)
	}
	if err := l.recordPhase("memory", 1500*time.Millisecond); err != nil {
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
