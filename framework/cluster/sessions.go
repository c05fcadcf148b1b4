package cluster

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"pmem-memcached-e2e/framework/cluster/session"
)

const (
	// instanceLimit is how long to wait for what the API server knows about a pod.
	instanceLimit = 5 * time.Second
	// endingLimit is how long shells may take to end at the end of a run.
	endingLimit = 5 * time.Second
)

// KeepSessions has Exec keep a shell in each container in which it runs commands, which starts the next ones. It ends
// with the container, or when the pod is being deleted.
func (c *Cluster) KeepSessions() {
	c.sessions = newSessions(func(at place) session.Start {
		return func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, command ...string) (int, error) {
			return c.exec(ctx, stdin, stdout, stderr, at, command)
		}
	})
}

// CloseSessions has the shells in pods of these namespaces end, and does not wait for that.
func (c *Cluster) CloseSessions(namespaces ...string) {
	ended := c.sessions.close(func(at place) bool { return slices.Contains(namespaces, at.namespace) })
	go ended(context.Background())
}

// EndSessions ends all shells and waits until they have ended.
func (c *Cluster) EndSessions(ctx context.Context) {
	c.sessions.close(func(place) bool { return true })(ctx)
}

// sessions are the shells that are kept.
type sessions struct {
	start func(place) session.Start

	mu      sync.Mutex
	open    map[place]*kept
	without map[instance]bool // a shell
}

func newSessions(start func(place) session.Start) *sessions {
	return &sessions{start: start, open: map[place]*kept{}, without: map[instance]bool{}}
}

// kept is the session of a place. Until it is open it is taken.
type kept struct {
	session *session.Session // nil while it is being opened
	unwatch func()
}

// An instance is a container as long as it runs.
type instance struct {
	pod types.UID
	id  string
}

// ask runs a command in the session of a place, or reports that it has not begun it.
func (s *sessions) ask(ctx context.Context, c *Cluster, at place, command []string) (r ExecResult, ok bool, err error) {
	if s == nil || len(command) == 0 || ctx.Err() != nil {
		return ExecResult{}, false, nil
	}
	shell := s.at(ctx, c, at)
	if shell == nil {
		return ExecResult{}, false, nil
	}
	result, err := shell.Run(ctx, command...)
	if errors.Is(err, session.ErrNotRun) {
		return ExecResult{}, false, nil
	}
	c.Tally.Question(ctx)
	if err != nil {
		err = lost(at, command, err)
	}
	return ExecResult(result), true, err
}

// at is the session of a place, which it opens if there is none; nil if none can be used.
func (s *sessions) at(ctx context.Context, c *Cluster, at place) *session.Session {
	s.mu.Lock()
	k := s.open[at]
	if k != nil && (k.session == nil || !k.session.Over()) {
		defer s.mu.Unlock()
		return k.session
	}
	mine := &kept{}
	s.open[at] = mine
	s.mu.Unlock()
	if k != nil {
		k.unwatch()
	}

	shell, unwatch := s.begin(ctx, c, at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if shell == nil || s.open[at] != mine {
		if s.open[at] == mine {
			delete(s.open, at)
		}
		if shell != nil {
			shell.Close()
			unwatch()
		}
		return nil
	}
	mine.session, mine.unwatch = shell, unwatch
	return shell
}

// begin opens a session, which ends when something else takes the place of its container.
func (s *sessions) begin(ctx context.Context, c *Cluster, at place) (shell *session.Session, unwatch func()) {
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	pods, err := c.Client.CoreV1().Pods(at.namespace).Watch(watching, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, at.pod).String()})
	if err != nil {
		cancel()
		return nil, nil
	}
	end := func() {
		cancel()
		pods.Stop()
	}
	of, ok := first(ctx, pods, at.container)
	if !ok || s.lacks(of) {
		end()
		return nil, nil
	}
	shell, err = session.Open(ctx, s.start(at))
	if err != nil {
		if noShell(err) {
			s.mu.Lock()
			s.without[of] = true
			s.mu.Unlock()
		}
		end()
		return nil, nil
	}
	go func() {
		defer end()
		for event := range pods.ResultChan() {
			if now, ok := instanceOf(event, at.container); !ok || now != of {
				break
			}
		}
		shell.Close()
	}()
	return shell, end
}

func (s *sessions) lacks(of instance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.without[of]
}

// noShell reports whether err says that the container has no shell.
func noShell(err error) bool {
	var ended *session.EndedError
	if errors.As(err, &ended) {
		return ended.ExitCode == 126 || ended.ExitCode == 127
	}
	// Container runtimes report it as text only, each with words of its own.
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "not found in $path") || strings.Contains(text, "no such file or directory")
}

// first is the container that the first event of a watch shows.
func first(ctx context.Context, pods watch.Interface, container string) (instance, bool) {
	limit := time.NewTimer(instanceLimit)
	defer limit.Stop()
	select {
	case event := <-pods.ResultChan():
		return instanceOf(event, container)
	case <-limit.C:
	case <-ctx.Done():
	}
	return instance{}, false
}

// instanceOf is the container that an event shows to run in a pod that is not being deleted.
func instanceOf(event watch.Event, container string) (instance, bool) {
	pod, ok := event.Object.(*corev1.Pod)
	if !ok || event.Type == watch.Deleted || pod.DeletionTimestamp != nil {
		return instance{}, false
	}
	for _, s := range slices.Concat(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses) {
		if s.Name == container && s.State.Running != nil {
			return instance{pod.UID, s.ContainerID}, true
		}
	}
	return instance{}, false
}

// close closes sessions and returns a function that waits until they have ended.
func (s *sessions) close(which func(place) bool) (wait func(context.Context)) {
	var ending []*kept
	if s == nil {
		return func(context.Context) {}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, k := range s.open {
		if !which(at) {
			continue
		}
		delete(s.open, at)
		if k.session == nil {
			continue // who opens it sees that it is not wanted
		}
		k.session.Close()
		ending = append(ending, k)
	}
	return func(ctx context.Context) {
		limited, cancel := context.WithTimeout(ctx, endingLimit)
		defer cancel()
		for _, k := range ending {
			k.session.Wait(limited)
			k.unwatch()
		}
	}
}
