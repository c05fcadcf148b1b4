package cluster

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"

	"pmem-memcached-e2e/framework/cluster/session"
	"pmem-memcached-e2e/framework/cluster/tally"
)

var here = place{"e2e", "cache-0", "memcached"}

// machine runs shells on this machine, as if it were a container.
type machine struct {
	mu      sync.Mutex
	err     error // in place of a shell
	shells  []*exec.Cmd
	watches chan *watch.RaceFreeFakeWatcher
}

func (m *machine) start(place) session.Start {
	return func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, command ...string) (int, error) {
		m.mu.Lock()
		refused := m.err
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		m.shells = append(m.shells, cmd)
		m.mu.Unlock()
		if refused != nil {
			return 0, refused
		}
		input, err := cmd.StdinPipe()
		if err != nil {
			return 0, err
		}
		cmd.Stdout, cmd.Stderr, cmd.WaitDelay = stdout, stderr, 100*time.Millisecond
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		go func() {
			_, _ = io.Copy(input, stdin)
			_ = input.Close()
		}()
		err = cmd.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return 137, nil
		}
		return 0, err
	}
}

func (m *machine) started() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.shells)
}

func running(uid, container string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: here.namespace, Name: here.pod, UID: types.UID(uid)},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: here.container, ContainerID: container,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}},
	}
}

// onMachine is a cluster with a pod, as the first event of every watch shows it.
func onMachine(t *testing.T, pod *corev1.Pod) (*Cluster, *machine) {
	t.Helper()
	m := &machine{watches: make(chan *watch.RaceFreeFakeWatcher, 10)}
	client := fake.NewClientset()
	client.PrependWatchReactor("pods", func(ktesting.Action) (bool, watch.Interface, error) {
		w := watch.NewRaceFreeFake()
		w.Add(pod)
		m.watches <- w
		return true, w, nil
	})
	c := &Cluster{Client: client, Tally: &tally.Tally{}, sessions: newSessions(m.start)}
	t.Cleanup(func() { c.EndSessions(context.Background()) })
	return c, m
}

func mustAsk(t *testing.T, c *Cluster, command ...string) {
	t.Helper()
	r, ok, err := c.sessions.ask(t.Context(), c, here, append([]string{"printf", "%s"}, command...))
	if !ok || err != nil || r.Stdout != command[0] {
		t.Fatalf("got %+v, %t, %v, want %s", r, ok, err, command[0])
	}
}

func TestSessionIsKept(t *testing.T) {
	c, m := onMachine(t, running("u1", "c1"))
	for _, word := range []string{"a", "b", "c"} {
		mustAsk(t, c, word)
	}
	if n, counted := m.started(), c.Tally.Now().Questions; n != 1 || counted != 3 {
		t.Errorf("%d shells were started for %d questions, want 1 for 3", n, counted)
	}
	c.CloseSessions("another")
	mustAsk(t, c, "d")
	closed := c.sessions.open[here].session
	c.CloseSessions(here.namespace)
	limited, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if closed.Wait(limited); limited.Err() != nil {
		t.Error("the closed shell does not end")
	}
	mustAsk(t, c, "e")
	if n := m.started(); n != 2 {
		t.Errorf("%d shells were started, want 2", n)
	}
	c.EndSessions(t.Context())
	if m.shells[1].ProcessState == nil {
		t.Error("the shell has not ended")
	}
}

func TestSessionEndsWithItsContainer(t *testing.T) {
	deleted := running("u1", "c1")
	deleted.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	ended := running("u1", "c1")
	ended.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
	for name, change := range map[string]func(*watch.RaceFreeFakeWatcher){
		"restarted":       func(w *watch.RaceFreeFakeWatcher) { w.Modify(running("u1", "c2")) },
		"replaced":        func(w *watch.RaceFreeFakeWatcher) { w.Add(running("u2", "c2")) },
		"deleted":         func(w *watch.RaceFreeFakeWatcher) { w.Delete(running("u1", "c1")) },
		"being deleted":   func(w *watch.RaceFreeFakeWatcher) { w.Modify(deleted) },
		"ended":           func(w *watch.RaceFreeFakeWatcher) { w.Modify(ended) },
		"no longer known": func(w *watch.RaceFreeFakeWatcher) { w.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			c, m := onMachine(t, running("u1", "c1"))
			mustAsk(t, c, "a")
			first := c.sessions.open[here].session
			change(<-m.watches)
			limited, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			first.Wait(limited)
			if limited.Err() != nil {
				t.Fatal("the shell does not end")
			}
			mustAsk(t, c, "b")
			if n := m.started(); n != 2 {
				t.Errorf("%d shells were started, want another one", n)
			}
		})
	}
	t.Run("a change that is not about the container", func(t *testing.T) {
		c, m := onMachine(t, running("u1", "c1"))
		mustAsk(t, c, "a")
		labelled := running("u1", "c1")
		labelled.Labels = map[string]string{"a": "b"}
		(<-m.watches).Modify(labelled)
		mustAsk(t, c, "b")
		if n := m.started(); n != 1 {
			t.Errorf("%d shells were started, want 1", n)
		}
	})
}

func TestNoSession(t *testing.T) {
	deleted := running("u1", "c1")
	deleted.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	for _, test := range []struct {
		name    string
		pod     *corev1.Pod
		err     error
		command string
		shells  int // that two questions start
	}{
		{"the pod is being deleted", deleted, nil, "true", 0},
		{"the container does not run", &corev1.Pod{}, nil, "true", 0},
		{"there is no shell", running("u1", "c1"), errors.New(`exec: "sh": executable file not found in $PATH`), "true", 1}, // runc
		{"there is no shell, says crun", running("u1", "c1"), errors.New("executable file `sh` not found in $PATH: No such file or directory"), "true", 1},
		{"exec is refused", running("u1", "c1"), errors.New("forbidden"), "true", 2},
		{"there is no such command", running("u1", "c1"), nil, "no-such-program-anywhere", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, m := onMachine(t, test.pod)
			m.err = test.err
			for range 2 {
				if r, ok, err := c.sessions.ask(t.Context(), c, here, []string{test.command}); ok {
					t.Errorf("got %+v, %v, want that another way is taken", r, err)
				}
			}
			if n := m.started(); n != test.shells {
				t.Errorf("%d shells were started, want %d", n, test.shells)
			}
		})
	}
	c, _ := onMachine(t, running("u1", "c1"))
	var none *sessions
	if _, ok, _ := none.ask(t.Context(), c, here, []string{"true"}); ok {
		t.Error("a cluster without sessions has run a command in one")
	}
}

// TestSessionInUse makes sure that commands do not wait for each other: one may be what another waits for.
func TestSessionInUse(t *testing.T) {
	c, _ := onMachine(t, running("u1", "c1"))
	fifo := t.TempDir() + "/fifo"
	if _, ok, err := c.sessions.ask(t.Context(), c, here, []string{"mkfifo", fifo}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	done := make(chan error)
	go func() {
		_, _, err := c.sessions.ask(t.Context(), c, here, []string{"cat", fifo})
		done <- err
	}()
	// Whoever opens the pipe for writing waits for a reader.
	writer := exec.CommandContext(t.Context(), "sh", "-c", `exec 3>"$1"; echo open; read -r end`, "sh", fifo)
	end, err := writer.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(output, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if r, ok, err := c.sessions.ask(t.Context(), c, here, []string{"true"}); ok {
		t.Errorf("got %+v, %v, want that another way is taken", r, err)
	}
	_ = end.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := writer.Wait(); err != nil && writer.ProcessState.ExitCode() != 1 {
		t.Error(err)
	}
}
