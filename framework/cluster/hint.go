package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// hint is what the user can do about an error of the first request to the API
// server. user is the name of the kubeconfig's user.
func hint(err error, user string) string {
	if text := certificateHint(err); text != "" {
		return text
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "correct the server's name in the kubeconfig, or connect to the network (VPN) that resolves it"
	}
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case apierrors.IsUnauthorized(err):
		return fmt.Sprintf("the login of user %q is not valid or has expired: log in again, or renew its token or certificate in the kubeconfig", user)
	case apierrors.IsForbidden(err):
		return fmt.Sprintf("user %q lacks permissions: grant them, or choose another user or context", user)
	// client-go reports a missing plug-in as text only.
	case strings.Contains(err.Error(), "exec: executable") && strings.Contains(err.Error(), "not found"):
		return fmt.Sprintf("user %q logs in by a program that is not on this machine: install it, or use a kubeconfig without it", user)
	case strings.Contains(err.Error(), "getting credentials: "):
		return fmt.Sprintf("user %q logs in by a program that failed: log in again with it", user)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: start the cluster, or name the kubeconfig of one that runs"
	case errors.Is(err, context.DeadlineExceeded), ok && timeout.Timeout(), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "connect to the network (VPN) of the cluster, and see whether a firewall or proxy is in between"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "the server does not use TLS: correct the address of the server in the kubeconfig"
	}
	return "see whether the cluster runs, and whether the kubeconfig belongs to it"
}

// certificateHint is empty when err is not about a certificate.
func certificateHint(err error) string {
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, isUnknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, isName := errors.AsType[x509.HostnameError](err)
	_, isOther := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case isInvalid && invalid.Reason == x509.Expired:
		return "the certificate of the server is not valid at this time: renew it, or correct the clock of this machine"
	case isName:
		return "the certificate of the server is for other names: use one of them in the kubeconfig, or set tls-server-name"
	case isUnknown:
		return "the certificate authority of the kubeconfig did not sign the server's certificate: get the kubeconfig of this cluster again"
	case isInvalid, isOther:
		return "the certificate of the server is not valid: get the kubeconfig of this cluster again, or renew the certificate"
	case strings.Contains(err.Error(), "remote error: tls: "): // an alert, whose type is not exported
		return "the server rejects the client certificate of the kubeconfig: renew it"
	}
	return ""
}
