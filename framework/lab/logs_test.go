package lab

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestLogs(t *testing.T) {
	l := testLab(t)
	if _, err := l.Logs(); err == nil || !strings.Contains(err.Error(), "lab test") {
		t.Errorf("logs of a lab that is not there: %v", err)
	}
	for _, name := range []string{"node1/console", "etcd", "node1"} {
		if err := appendFile(l.path("logs", name+".log"), []byte(name+" speaks\n")); err != nil {
			t.Fatal(err)
		}
	}
	names, err := l.Logs()
	if want := []string{"etcd", "node1", "node1/console"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("got %q, %v, want %q", names, err, want)
	}
	var b strings.Builder
	if err := l.WriteLog(&b, "node1/console"); err != nil || b.String() != "node1/console speaks\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
	for _, wrong := range []string{"../keys/ca", "node2", ""} {
		if err := l.WriteLog(&b, wrong); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "it has etcd, node1, node1/console") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestStatusShowsTheEndOfALostProgram(t *testing.T) {
	l, m := poweredLab(t)
	if err := appendFile(l.path("logs/node1.log"), []byte("qemu: out of smoke\n")); err != nil {
		t.Fatal(err)
	}
	m.process.Kill()
	<-m.ended
	err := l.Status(t.Context()).Err()
	for _, want := range []string{"lost", "the end of the log of node1:\nqemu: out of smoke"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q in it", err, want)
		}
	}
}

func TestQEMUOfANode(t *testing.T) {
	l, _ := poweredLab(t)
	args, err := l.QEMU("node2")
	if err != nil || !slices.Contains(args, "qemu-system-x86_64") || !slices.Contains(args, "pmem-lab-test-node2") {
		t.Errorf("got %q, %v", args, err)
	}
	if _, err := l.QEMU("node7"); !errors.Is(err, ErrUnknown) {
		t.Errorf("another node: %v", err)
	}
}
