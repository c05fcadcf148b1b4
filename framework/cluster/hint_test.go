package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/wait"
)

// clusterOf is a kubeconfig for one server, with more fields of its cluster
// and the fields of its user.
func clusterOf(t *testing.T, server, more, user string) string {
	t.Helper()
	text := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "c", "user": "former"}}],
"clusters": [{"name": "c", "cluster": {"server": %q%s}}], "users": [{"name": "former", "user": {%s}}]}`, server, more, user)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func authority(certificate *x509.Certificate) string {
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
	return `, "certificate-authority-data": "` + base64.StdEncoding.EncodeToString(data) + `"`
}

// expired is a certificate of 127.0.0.1 that was valid until an hour ago.
func expired(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// refusing answers every request with an error of the API.
func refusing(code int, reason string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": %q, "code": %d}`, reason, code)
	}
}

func TestHints(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	start := func(handler http.Handler, change func(*tls.Config)) *httptest.Server {
		s := httptest.NewUnstartedServer(handler)
		s.Config.ErrorLog = nil
		s.TLS = &tls.Config{}
		change(s.TLS)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	late := start(http.NotFoundHandler(), func(c *tls.Config) { c.Certificates = []tls.Certificate{expired(t)} })
	strict := start(http.NotFoundHandler(), func(c *tls.Config) { c.ClientAuth = tls.RequireAndVerifyClientCert })
	refuse := func(code int, reason string) string {
		s := httptest.NewServer(refusing(code, reason))
		t.Cleanup(s.Close)
		return s.URL
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	const token = `"token": "expired"`
	program := func(name string) string {
		return fmt.Sprintf(`"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": %q, "interactiveMode": "Never"}`, name)
	}
	for _, test := range []struct{ name, kubeconfig, err, hint string }{
		{"refused", clusterOf(t, "https://"+closed.Addr().String(), "", token), "connection refused", "start the cluster, or name the kubeconfig of one that runs"},
		{"unauthorized", clusterOf(t, refuse(401, "Unauthorized"), "", token), "", `the login of user "former" is not valid or has expired: log in again`},
		{"forbidden", clusterOf(t, refuse(403, "Forbidden"), "", token), "", `user "former" lacks permissions: grant them`},
		{"unavailable", clusterOf(t, refuse(500, "InternalError"), "", token), "", "see whether the cluster runs"},
		{"unknown authority", clusterOf(t, secure.URL, "", token), "signed by unknown authority", "the certificate authority of the kubeconfig did not sign"},
		{"another authority", clusterOf(t, secure.URL, authority(late.Certificate()), token), "x509: ", "the certificate authority of the kubeconfig did not sign"},
		{"expired", clusterOf(t, late.URL, authority(late.Certificate()), token), "certificate has expired", "renew it, or correct the clock"},
		{"another name", clusterOf(t, strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), authority(secure.Certificate()), token), "x509: certificate is valid for", "set tls-server-name"},
		{"client certificate", clusterOf(t, strict.URL, authority(strict.Certificate()), token), "remote error: tls: ", "rejects the client certificate"},
		{"name", clusterOf(t, "https://no-such-cluster.invalid:6443", "", token), "no-such-cluster.invalid", "correct the server's name"},
		{"time-out", clusterOf(t, "https://"+silent.Addr().String(), "", token), "no answer within 200ms", "firewall or proxy"},
		{"no TLS", clusterOf(t, strings.Replace(plain.URL, "http:", "https:", 1), "", token), "server gave HTTP response", "does not use TLS"},
		{"missing plug-in", clusterOf(t, secure.URL, authority(secure.Certificate()), program("no-such-program")), "no-such-program", "logs in by a program that is not on this machine: install it"},
		{"failing plug-in", clusterOf(t, secure.URL, authority(secure.Certificate()), program("false")), "exit code 1", "logs in by a program that failed: log in again"},
	} {
		t.Run(test.name, func(t *testing.T) {
			limit := answerLimit
			if test.name == "time-out" {
				limit = 200 * time.Millisecond
			}
			_, err := connect(t.Context(), test.kubeconfig, "", wait.Waiter{}, limit)
			if err == nil {
				t.Fatal("no error")
			}
			if text := err.Error(); !strings.Contains(text, test.err) || !strings.Contains(text, test.hint) || strings.Contains(text, "\n") {
				t.Errorf("error\n%s\nwant one line with %q and %q", text, test.err, test.hint)
			}
		})
	}
}
