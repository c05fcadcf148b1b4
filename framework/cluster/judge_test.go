package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/wait"
)

func TestJudge(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: run it without -short")
	}
	reach := func(url string) *Cluster {
		c, err := Connect(t.Context(), kubeconfig(t, url), "lab", wait.Waiter{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	answers := reach(serve(t, `{"gitVersion":"v1.36.3"}`, nil))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	const prefix = "An error occurred forwarding: error forwarding port 11211 to pod x: failed to execute portforward in network namespace: "
	for _, test := range []struct {
		name    string
		ctx     context.Context
		over    bool // the forward has ended
		failure string
		err     error
		want    fault.Kind
	}{
		{"closed by memcached", t.Context(), false, "", fmt.Errorf("get k: %w", io.EOF), fault.Deployment},
		{"no answer", t.Context(), false, "", fmt.Errorf("get k: %w", os.ErrDeadlineExceeded), fault.Deployment},
		{"refused in the pod", t.Context(), true, prefix + "dial tcp4 127.0.0.1:11211: connect: connection refused", io.EOF, fault.Deployment},
		{"lost connection to the pod", t.Context(), true, "lost connection to pod", io.EOF, fault.Infrastructure},
		{"the pod is gone", t.Context(), true, prefix + "the network namespace is closed", io.EOF, fault.Infrastructure},
		{"the spec has ended", ended, false, "", io.EOF, fault.Infrastructure},
		{"an answer", t.Context(), false, "", errors.New("SERVER_ERROR out of memory"), fault.Unjudged},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &Forward{cluster: answers, done: make(chan struct{})}
			if test.over {
				close(f.done)
			}
			if test.failure != "" {
				f.failures.add(errors.New(test.failure))
			}
			if err := f.Judge(test.ctx, test.err); fault.Of(err) != test.want || !errors.Is(err, test.err) {
				t.Errorf("%v is judged %d, want %d", err, fault.Of(err), test.want)
			}
		})
	}
	if err := (&Forward{}).Judge(t.Context(), nil); err != nil {
		t.Errorf("no error is judged: %v", err)
	}
}
