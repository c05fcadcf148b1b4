package lab

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/private"
)

func TestStatusShowsTheEndOfALostProgram(t *testing.T) {
	l, m := poweredLab(t)
	if err := private.AppendFile(l.dir.Log("node1"), []byte("qemu: out of smoke\n")); err != nil {
		t.Fatal(err)
	}
	m.Process.Kill()
	<-m.Ended
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
