// Package tally counts what is asked of a cluster.
package tally

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"pmem-memcached-e2e/framework/report"
)

// A Tally counts requests, commands and pods. The zero value is ready for use, also by several goroutines; nil counts nothing.
type Tally struct {
	mu        sync.Mutex
	now, rest report.Work // what counts for the spec that runs, and what does not
	pods      map[types.UID]bool
}

type uncounted struct{}

// Uncounted returns a context whose requests count for no spec, such as those of what continues after a spec.
func Uncounted(ctx context.Context) context.Context { return context.WithValue(ctx, uncounted{}, true) }

// Exec counts a command for which a process is started.
func (t *Tally) Exec(ctx context.Context) { t.add(ctx, func(w *report.Work) { w.Execs++ }) }

// Question counts a command that a shell runs which is there already.
func (t *Tally) Question(ctx context.Context) { t.add(ctx, func(w *report.Work) { w.Questions++ }) }

// Pod counts a pod, once.
func (t *Tally) Pod(ctx context.Context, uid types.UID) {
	t.add(ctx, func(w *report.Work) {
		if !t.pods[uid] {
			if t.pods == nil {
				t.pods = map[types.UID]bool{}
			}
			t.pods[uid] = true
			w.Pods++
		}
	})
}

func (t *Tally) add(ctx context.Context, change func(*report.Work)) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if ctx.Value(uncounted{}) != nil {
		change(&t.rest)
	} else {
		change(&t.now)
	}
}

// Now is what was counted, without what is Uncounted.
func (t *Tally) Now() report.Work {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now.Plus(report.Work{})
}

// All is everything that was counted.
func (t *Tally) All() report.Work {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now.Plus(t.rest)
}

// Wrap returns a transport that counts the requests to next.
func (t *Tally) Wrap(next http.RoundTripper) http.RoundTripper { return &counting{next, t} }

type counting struct {
	http.RoundTripper
	tally *Tally
}

// WrappedRoundTripper implements utilnet.RoundTripperWrapper.
func (c *counting) WrappedRoundTripper() http.RoundTripper { return c.RoundTripper }

func (c *counting) RoundTrip(request *http.Request) (*http.Response, error) {
	verb := verbOf(request)
	c.tally.add(request.Context(), func(w *report.Work) {
		if w.Requests == nil {
			w.Requests = map[string]int{}
		}
		w.Requests[verb]++
	})
	return c.RoundTripper.RoundTrip(request)
}

var verbs = map[string]string{http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete"}

// verbOf is what the API server calls the verb of a request. In place of deletecollection it is delete.
func verbOf(request *http.Request) string {
	path := resourcePath(request.URL.Path)
	if n := len(path); n == 3 && (path[2] == "exec" || path[2] == "attach" || path[2] == "portforward") {
		return "connect"
	}
	if verb, ok := verbs[request.Method]; ok {
		return verb
	}
	switch watch := request.URL.Query().Get("watch"); {
	case watch == "true" || watch == "1":
		return "watch"
	case len(path) == 1:
		return "list"
	}
	return "get"
}

// resourcePath is the part of the path of a request that names resource, object and subresource; empty where there is none.
func resourcePath(path string) []string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		parts = parts[3:]
	default:
		return nil
	}
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "finalize" && parts[2] != "status" {
		parts = parts[2:]
	}
	return parts
}
