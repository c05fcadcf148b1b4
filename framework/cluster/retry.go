package cluster

import (
	"context"
	"net/http"
	"strings"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"

	"pmem-memcached-e2e/framework/fault"
)

const (
	// retryLimit is how long the API server may be away, as while it is restarted, before a request fails.
	retryLimit = 45 * time.Second
	retryPause = 500 * time.Millisecond
)

// retrying repeats requests that have lost their connection, if that does no harm: those that only read, and
// those that have not been sent.
type retrying struct {
	http.RoundTripper
	limit, pause time.Duration
}

func retryReads(next http.RoundTripper) http.RoundTripper {
	return &retrying{RoundTripper: next, limit: retryLimit, pause: retryPause}
}

// WrappedRoundTripper implements utilnet.RoundTripperWrapper.
func (r *retrying) WrappedRoundTripper() http.RoundTripper { return r.RoundTripper }

func (r *retrying) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(request.Context(), r.limit)
	defer cancel()
	for {
		response, err := r.RoundTripper.RoundTrip(request)
		if err == nil || !repeatable(request, err) {
			return response, err
		}
		if request.Body != nil && request.GetBody != nil {
			body, bodyErr := request.GetBody()
			if bodyErr != nil {
				return nil, err
			}
			request = request.Clone(request.Context())
			request.Body = body
		}
		pause := time.NewTimer(r.pause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil, err
		case <-pause.C:
		}
	}
}

// repeatable reports whether a request that ended with err can be sent again. A command, or what it writes,
// must not be.
func repeatable(request *http.Request, err error) bool {
	if utilnet.IsConnectionRefused(err) {
		return request.Body == nil || request.Body == http.NoBody || request.GetBody != nil
	}
	reads := request.Method == http.MethodGet && request.Header.Get("Upgrade") == ""
	for _, stream := range []string{"/exec", "/attach", "/portforward"} {
		reads = reads && !strings.HasSuffix(request.URL.Path, stream)
	}
	return reads && fault.Connection(err)
}
