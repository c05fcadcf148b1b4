package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/wait"
)

func TestOf(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	refused := &url.Error{Op: "Get", URL: "https://127.0.0.1:6443", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
	plain := errors.New("the label is missing")
	forbidden := apierrors.NewForbidden(pods, "cache-0", errors.New("no"))
	gone := fmt.Errorf("get the pod: %w", apierrors.NewNotFound(pods, "cache-0"))
	for _, test := range []struct {
		name       string
		err        error
		want       fault.Kind
		unanswered bool
		lasting    bool
	}{
		{"none", nil, fault.Unjudged, false, false},
		{"plain", plain, fault.Unjudged, false, false},
		{"refused connection", fmt.Errorf("list pods: %w", refused), fault.Infrastructure, true, false},
		{"reset", syscall.ECONNRESET, fault.Infrastructure, true, false},
		{"end of a stream", fmt.Errorf("get k: %w", io.EOF), fault.Infrastructure, true, false},
		{"cut off", io.ErrUnexpectedEOF, fault.Infrastructure, true, false},
		{"end of the context", context.DeadlineExceeded, fault.Infrastructure, true, false},
		{"forbidden", forbidden, fault.Infrastructure, false, true},
		{"not found", gone, fault.Unjudged, false, false},
		{"no such namespace", apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "gone"), fault.Unjudged, false, true},
		{"no such kind", apierrors.NewGenericServerResponse(404, "get", schema.GroupResource{Group: "x", Resource: "things"}, "", "404 page not found", 0, true), fault.Unjudged, false, true},
		{"no such kind in discovery", &meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "Thing"}}, fault.Unjudged, false, true},
		{"invalid", apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "cache-0", nil), fault.Unjudged, false, false},
		{"server error", apierrors.NewInternalError(plain), fault.Infrastructure, true, false},
		{"unavailable", apierrors.NewServiceUnavailable("starting"), fault.Infrastructure, true, false},
		{"too many requests", apierrors.NewTooManyRequests("later", 1), fault.Infrastructure, true, false},
		{"conflict", apierrors.NewConflict(pods, "cache-0", plain), fault.Infrastructure, false, false},
		{"no such verb", apierrors.NewMethodNotSupported(pods, "list"), fault.Infrastructure, false, true},
		{"time-out after a state", &wait.TimeoutError{What: "x", Last: "Pending"}, fault.Unjudged, false, false},
		{"time-out after an error", &wait.TimeoutError{What: "x", Last: "error: x", Err: plain}, fault.Infrastructure, true, false},
		{"time-out after an observation", &wait.TimeoutError{What: "x", Err: fault.OfDeployment(plain)}, fault.Deployment, false, false},
		{"interrupted after an observation", &wait.InterruptedError{What: "x", Err: fault.OfDeployment(plain)}, fault.Infrastructure, true, false},
		{"wait ended by a refusal", &wait.StoppedError{What: "x", Err: forbidden}, fault.Infrastructure, false, true},
		{"wait ended by a state", &wait.StoppedError{What: "x", Err: plain}, fault.Unjudged, false, false},
		{"judged outside", fault.OfDeployment(fmt.Errorf("crash loop: %w", io.EOF)), fault.Deployment, false, false},
		{"judged inside", fmt.Errorf("get k: %w", fault.OfDeployment(syscall.ECONNRESET)), fault.Deployment, false, false},
		{"judged twice", fault.OfInfrastructure(fault.OfDeployment(plain)), fault.Infrastructure, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := fault.Of(test.err); got != test.want {
				t.Errorf("Of(%v) = %d, want %d", test.err, got, test.want)
			}
			if got := fault.Unanswered(test.err); got != test.unanswered {
				t.Errorf("Unanswered(%v) = %t", test.err, got)
			}
			if got := fault.Lasting(test.err); got != test.lasting {
				t.Errorf("Lasting(%v) = %t", test.err, got)
			}
		})
	}
	if fault.OfDeployment(nil) != nil || fault.OfInfrastructure(nil) != nil {
		t.Error("nil became an error")
	}
}

// A wait ends at once when it is not allowed to look.
func TestLastingByAdmission(t *testing.T) {
	refusal := func(code int32, reason metav1.StatusReason, message string) error {
		return fmt.Errorf("running %q: %w", "true", &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Reason: reason, Message: message}})
	}
	for _, test := range []struct {
		name string
		err  error
		want bool
	}{
		{"a policy", refusal(422, metav1.StatusReasonInvalid, `pods "p" is forbidden: ValidatingAdmissionPolicy 'no-exec' with binding 'no-exec' denied request: no commands here`), true},
		{"a webhook", refusal(400, metav1.StatusReasonBadRequest, `admission webhook "validate.kyverno.svc-fail" denied the request: no commands here`), true},
		{"a policy about commands", errors.New(`unable to upgrade connection: pods "p" is forbidden: ValidatingAdmissionPolicy 'no-exec' with binding 'no-exec' denied request: no commands here`), true},
		{"no error", nil, false},
		{"a webhook that is not there", refusal(500, metav1.StatusReasonInternalError, `failed calling webhook "validate.kyverno.svc-fail": connection refused`), false},
		{"a pod that has no node yet", refusal(400, metav1.StatusReasonBadRequest, "pod p does not have a host assigned"), false},
	} {
		if got := fault.Lasting(test.err); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestMalformed(t *testing.T) {
	claims := schema.GroupKind{Kind: "PersistentVolumeClaim"}
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"a field that is missing": {fmt.Errorf("creating it: %w", apierrors.NewInvalid(claims, "c", field.ErrorList{field.Required(field.NewPath("spec", "resources"), "")})), true},
		"a field that is unknown": {apierrors.NewBadRequest(`strict decoding error: unknown field "spec.sise"`), true},
		"refused by a policy":     {apierrors.NewInvalid(claims, "c: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no", nil), false},
		"refused by a webhook":    {apierrors.NewBadRequest(`admission webhook "w" denied the request: no`), false},
		"forbidden":               {apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p", errors.New("exceeded quota")), false},
		"another error":           {errors.New("is invalid"), false},
		"none":                    {nil, false},
	} {
		if got := fault.Malformed(test.err); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}

func TestLastingEndsAWait(t *testing.T) {
	w := wait.Waiter{Interval: time.Millisecond, Final: fault.Lasting}
	probes := 0
	err := w.Until(t.Context(), wait.PodRuns, "a pod", func(context.Context) (bool, string, error) {
		if probes++; probes == 1 {
			return false, "", &apierrors.StatusError{ErrStatus: metav1.Status{Code: 503, Reason: metav1.StatusReasonServiceUnavailable}}
		}
		return false, "", fmt.Errorf("get the pod: %w", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p", errors.New("no")))
	})
	if _, ok := errors.AsType[*wait.StoppedError](err); !ok || probes != 2 || fault.Of(err) != fault.Infrastructure {
		t.Errorf("error %v after %d probes, want the wait to be stopped by the second", err, probes)
	}
}
