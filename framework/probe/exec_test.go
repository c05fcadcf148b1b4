package probe_test

import (
	"context"
	"errors"
	"io"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/probe"
)

// losing loses the connection of the first commands.
type losing struct {
	errs []error
	runs int
}

func (l *losing) Exec(context.Context, string, string, string, ...string) (cluster.ExecResult, error) {
	if l.runs++; l.runs <= len(l.errs) {
		return cluster.ExecResult{}, l.errs[l.runs-1]
	}
	return cluster.ExecResult{Stdout: "seen"}, nil
}

func TestOutputReadsAgain(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p", errors.New("no"))
	for _, test := range []struct {
		name string
		errs []error
		runs int
		ok   bool
	}{
		{"at once", nil, 1, true},
		{"lost twice", []error{io.ErrUnexpectedEOF, io.EOF}, 3, true},
		{"lost for good", []error{io.EOF, io.EOF, io.EOF, io.EOF}, 3, false},
		{"refused", []error{forbidden}, 1, false},
	} {
		l := &losing{errs: test.errs}
		text, err := probe.Output(t.Context(), l, "n", "p", "c", "cat", "/x")
		if (err == nil) != test.ok || l.runs != test.runs || test.ok && text != "seen" {
			t.Errorf("%s: %q, %v after %d runs, want %d", test.name, text, err, l.runs, test.runs)
		}
	}
}
