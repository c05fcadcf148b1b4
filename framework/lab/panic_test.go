package lab

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/client-go/kubernetes/fake"

	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/wait"
)

// A kernel that cannot come up ends the wait for its node; one that panicked
// in an earlier life does not.
func TestPanicsInARow(t *testing.T) {
	l, _ := poweredLab(t)
	console := l.dir.Log("node1/console")
	panicked := []byte("[    1.0" + panicMark + "not syncing: VFS: Unable to mount root fs\n")
	for range panicLimit {
		if err := private.AppendFile(console, panicked); err != nil {
			t.Fatal(err)
		}
	}
	var timeout *wait.TimeoutError
	if err := l.awaitNode(t.Context(), fake.NewClientset(), 1); !errors.As(err, &timeout) {
		t.Errorf("after old panics: %v", err)
	}
	begun := false
	l.wait.Begin = func(wait.Record) {
		for range panicLimit {
			if err := private.AppendFile(console, panicked); err != nil {
				t.Error(err)
			}
		}
		begun = true
	}
	var stopped *wait.StoppedError
	if err := l.awaitNode(t.Context(), fake.NewClientset(), 1); !errors.As(err, &stopped) || !strings.Contains(err.Error(), "panicked 3 times in a row") || !begun {
		t.Errorf("after new panics: %v", err)
	}
}

// A node whose processor has lost its timer is reset, once for each time that its
// kernel says so.
func TestLostTimer(t *testing.T) {
	l, m := poweredLab(t)
	hung := []byte("[   22.5] rcu: " + hangMark + " for 15753 jiffies!\n")
	say := func() {
		if err := private.AppendFile(l.dir.Log("node1/console"), hung); err != nil {
			t.Error(err)
		}
	}
	say()
	for want := range 2 {
		if want > 0 {
			l.wait.Begin = func(wait.Record) { say() }
		}
		var timeout *wait.TimeoutError
		if err := l.awaitNode(t.Context(), fake.NewClientset(), 1); !errors.As(err, &timeout) {
			t.Errorf("the node never comes: %v", err)
		}
		m.mu.Lock()
		if m.resets != want {
			t.Errorf("reset %d times, want %d", m.resets, want)
		}
		m.mu.Unlock()
	}
}
