// Package fault classifies errors by whose fault they are: that of the deployment under test, or that of
// the API server and the network, through which the suite looks at it.
package fault

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"pmem-memcached-e2e/framework/wait"
)

// Kind is whose fault an error is.
type Kind int

const (
	// Unjudged is an error of which only the caller knows whose fault it is. Where a requirement is
	// examined it is an observation.
	Unjudged Kind = iota
	// Deployment is an observation of the deployment under test: it does not become ready, has ended, or
	// does not answer.
	Deployment
	// Infrastructure is an error of the API server, of the network, or of the time that was given. It
	// says nothing about the deployment.
	Infrastructure
)

// judged is an error that knows whose fault it is. Packages that cannot import this one have such errors, too.
type judged interface{ OfDeployment() bool }

// OfDeployment returns err as an observation of the deployment; nil for nil.
func OfDeployment(err error) error { return as(err, true) }

// OfInfrastructure returns err as one that says nothing about the deployment; nil for nil.
func OfInfrastructure(err error) error { return as(err, false) }

func as(err error, deployment bool) error {
	if err == nil {
		return nil
	}
	return &known{err, deployment}
}

type known struct {
	error
	deployment bool
}

func (k *known) OfDeployment() bool { return k.deployment }
func (k *known) Unwrap() error      { return k.error }

// Of judges an error. The outermost error that knows decides.
func Of(err error) Kind {
	var j judged
	var timeout *wait.TimeoutError
	var interrupted *wait.InterruptedError
	switch {
	case err == nil:
		return Unjudged
	case errors.As(err, &interrupted):
		return Infrastructure
	case errors.As(err, &j) && j.OfDeployment():
		return Deployment
	case errors.As(err, &j):
		return Infrastructure
	case errors.As(err, &timeout) && timeout.Err != nil:
		return Infrastructure
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), Connection(err), answered(err):
		return Infrastructure
	}
	return Unjudged
}

// answered reports whether err is an answer of the API server other than that it has been asked for what
// is not valid.
func answered(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && !apierrors.IsInvalid(err) && !apierrors.IsNotFound(err)
}

// Connection reports whether err says that a connection was refused, lost or not answered in time.
func Connection(err error) bool {
	var network net.Error
	return errors.As(err, &network) || utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) ||
		utilnet.IsHTTP2ConnectionLost(err) || utilnet.IsProbableEOF(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE)
}

// Lasting reports whether to ask the API server again is of no use: it does not allow it, by its authorization or by
// admission, or does not know what is asked for, such as a kind of object or a namespace. Waits end at such an error.
func Lasting(err error) bool {
	return apierrors.IsForbidden(err) || denied(err) || apierrors.IsMethodNotSupported(err) || apierrors.IsNotAcceptable(err) || meta.IsNoMatchError(err) || unknown(err)
}

// admission is how webhooks and policies refuse. Their code is up to them: 400 for a webhook and 422 for a policy unless they
// have another.
var admission = regexp.MustCompile(`admission webhook .* denied the request|AdmissionPolicy .* denied request`)

// denied reports whether admission has refused a request. That a command is refused comes as a text only.
func denied(err error) bool { return err != nil && admission.MatchString(err.Error()) }

// Malformed reports whether the API server answered that an object cannot exist as it was sent, such as one with a field
// that is missing, unknown or not valid. What admission refuses is different: another cluster may admit it.
func Malformed(err error) bool {
	return (apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)) && !denied(err)
}

// unknown reports whether the API server answered that it does not know a path, or the namespace in it. That an object
// is not found is different: it may be made.
func unknown(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	details := status.Status().Details
	return details.Kind == "namespaces" ||
		details.Name == "" && slices.ContainsFunc(details.Causes, func(c metav1.StatusCause) bool { return c.Type == metav1.CauseTypeUnexpectedServerResponse })
}

// Unanswered reports whether err says that there was no answer, or one that the request could not be
// processed now. Unlike a refusal it is never what a check expects.
func Unanswered(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code := status.Status().Code
		return code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout
	}
	return Of(err) == Infrastructure
}
