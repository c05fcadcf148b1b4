package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

type answers struct {
	errs   []error // of the first requests
	bodies []string
}

func (a *answers) RoundTrip(request *http.Request) (*http.Response, error) {
	body := ""
	if request.Body != nil {
		data, _ := io.ReadAll(request.Body)
		body = string(data)
	}
	a.bodies = append(a.bodies, body)
	if n := len(a.bodies); n <= len(a.errs) {
		return nil, a.errs[n-1]
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func TestRetry(t *testing.T) {
	refused, reset := fmt.Errorf("dial: %w", syscall.ECONNREFUSED), fmt.Errorf("read: %w", syscall.ECONNRESET)
	for _, test := range []struct {
		name, method, path, body string
		errs                     []error
		requests                 int
		ok                       bool
	}{
		{"a read that lost its connection", "GET", "/api/v1/pods", "", []error{reset, io.EOF, refused}, 4, true},
		{"a read that is refused otherwise", "GET", "/api/v1/pods", "", []error{errors.New("certificate")}, 1, false},
		{"a write that was not sent", "POST", "/api/v1/pods", "a pod", []error{refused, refused}, 3, true},
		{"a write that may have been carried out", "POST", "/api/v1/pods", "a pod", []error{reset}, 1, false},
		{"a command that may have run", "GET", "/api/v1/namespaces/n/pods/p/exec", "", []error{reset}, 1, false},
		{"a command that was not sent", "GET", "/api/v1/namespaces/n/pods/p/exec", "", []error{refused}, 2, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := &answers{errs: test.errs}
			r := &retrying{RoundTripper: a, limit: time.Minute, pause: time.Microsecond}
			request, err := http.NewRequestWithContext(t.Context(), test.method, "https://server"+test.path, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.RoundTrip(request)
			if (err == nil) != test.ok || len(a.bodies) != test.requests || a.bodies[len(a.bodies)-1] != test.body {
				t.Errorf("error %v after requests with the bodies %q, want %d", err, a.bodies, test.requests)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", "https://server/", nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &answers{errs: []error{refused, refused}}
	if _, err := (&retrying{RoundTripper: a, limit: time.Minute, pause: time.Minute}).RoundTrip(request); !errors.Is(err, syscall.ECONNREFUSED) || len(a.bodies) != 1 {
		t.Errorf("error %v after %d requests, want an end with the context", err, len(a.bodies))
	}
}
