package tally

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pmem-memcached-e2e/framework/report"
)

type silent struct{}

func (silent) RoundTrip(*http.Request) (*http.Response, error) { return nil, nil }

func TestVerbs(t *testing.T) {
	for _, test := range []struct{ method, url, verb string }{
		{"GET", "https://h/version", "get"},
		{"GET", "https://h/api", "get"},
		{"GET", "https://h/api/v1", "get"},
		{"GET", "https://h/apis/apps/v1", "get"},
		{"GET", "https://h/api/v1/namespaces", "list"},
		{"GET", "https://h/api/v1/namespaces/a", "get"},
		{"GET", "https://h/api/v1/namespaces/a/pods?limit=500", "list"},
		{"GET", "https://h/api/v1/namespaces/a/pods?watch=true", "watch"},
		{"GET", "https://h/api/v1/namespaces/a/pods/p", "get"},
		{"GET", "https://h/api/v1/namespaces/a/pods/p/log", "get"},
		{"GET", "https://h/api/v1/namespaces/a/pods/p/exec?command=sh", "connect"},
		{"POST", "https://h/api/v1/namespaces/a/pods/p/portforward", "connect"},
		{"GET", "https://h/apis/apps/v1/namespaces/a/deployments", "list"},
		{"GET", "https://h/apis/apps/v1/namespaces/a/deployments/d", "get"},
		{"GET", "https://h/apis/storage.k8s.io/v1/csinodes", "list"},
		{"POST", "https://h/api/v1/namespaces/a/pods/p/eviction", "create"},
		{"PATCH", "https://h/apis/apps/v1/namespaces/a/deployments/d/scale", "patch"},
		{"DELETE", "https://h/api/v1/namespaces/a", "delete"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := verbOf(request); got != test.verb {
			t.Errorf("%s %s is %q, want %q", test.method, test.url, got, test.verb)
		}
	}
}

func TestTally(t *testing.T) {
	var all Tally
	transport := all.Wrap(silent{})
	ask := func(apart bool, url string) {
		ctx := t.Context()
		if apart {
			ctx = Uncounted(ctx)
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transport.RoundTrip(request); err != nil {
			t.Fatal(err)
		}
	}
	ask(false, "https://h/api/v1/pods")
	all.Pod(t.Context(), "a")
	began := all.Now()
	ask(false, "https://h/api/v1/pods")
	ask(false, "https://h/version")
	ask(true, "https://h/version")
	all.Pod(t.Context(), "a")
	all.Pod(t.Context(), "b")
	all.Exec(t.Context())
	all.Question(t.Context())
	all.Question(Uncounted(t.Context()))
	want := report.Work{Execs: 1, Questions: 1, Pods: 1, Requests: map[string]int{"get": 1, "list": 1}}
	if diff := cmp.Diff(want, all.Now().Since(began)); diff != "" {
		t.Errorf("of the spec (-want +got):\n%s", diff)
	}
	want = report.Work{Execs: 1, Questions: 2, Pods: 2, Requests: map[string]int{"get": 2, "list": 2}}
	if diff := cmp.Diff(want, all.All()); diff != "" {
		t.Errorf("of all (-want +got):\n%s", diff)
	}
}
