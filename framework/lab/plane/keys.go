package plane

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"

	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
)

// KeyLife is how long the keys of a lab are valid: longer than any lab lives.
const KeyLife = 30 * 24 * time.Hour

// certificateAuthority signs the lab's certificates. It lives no longer than the lab.
type certificateAuthority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

type identity struct {
	// file is the base name of the certificate and key files.
	file string
	// user and groups are who the API server takes the holder for.
	user   string
	groups []string
	// hosts are the names and addresses that a server's certificate is for.
	hosts []string
	// kubeconfig is the server URL for a kubeconfig file of this identity,
	// empty for none.
	kubeconfig string
}

// MakeKeys makes the keys of a lab with these nodes: a certificate authority, and
// for each program its certificate and its kubeconfig.
func MakeKeys(dir state.Dir, nodes []topology.Node) error {
	if err := os.MkdirAll(dir.Key(), 0o700); err != nil {
		return err
	}
	ca, err := newCertificateAuthority()
	if err != nil {
		return err
	}
	if err := writePEM(dir.Key("ca.crt"), "CERTIFICATE", ca.cert.Raw); err != nil {
		return err
	}
	inside := "https://" + net.JoinHostPort(topology.HostAddress, topology.APIPort)
	identities := []identity{
		{file: "apiserver", user: "kube-apiserver", hosts: []string{"127.0.0.1", "localhost", topology.HostAddress, topology.APIService, "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}},
		{file: "apiserver-kubelet", user: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}},
		{file: "controller-manager", user: "system:kube-controller-manager", kubeconfig: inside},
		{file: "scheduler", user: "system:kube-scheduler", kubeconfig: inside},
		{file: "kube-proxy", user: "system:kube-proxy", kubeconfig: inside},
		{file: "admin", user: "lab-admin", groups: []string{"system:masters"}, kubeconfig: inside},
	}
	for _, n := range nodes {
		identities = append(identities, identity{
			file: n.Name(), user: "system:node:" + n.Name(), groups: []string{"system:nodes"},
			hosts: []string{n.Name(), n.Address()}, kubeconfig: inside,
		})
	}
	for _, id := range identities {
		if err := issue(dir, ca, id); err != nil {
			return fmt.Errorf("keys of %s: %w", id.file, err)
		}
	}
	serviceAccounts, err := newKey()
	if err != nil {
		return err
	}
	return writeKey(dir.Key("service-accounts.key"), serviceAccounts)
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func newCertificateAuthority() (*certificateAuthority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "pmem-lab"},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	cert, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &certificateAuthority{cert, key}, nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	// The guest's clock may be behind by a little.
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(KeyLife)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func issue(dir state.Dir, ca *certificateAuthority, id identity) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: id.user, Organization: id.groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, h := range id.hosts {
		if addr := net.ParseIP(h); addr != nil {
			template.IPAddresses = append(template.IPAddresses, addr)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	cert, err := sign(template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return err
	}
	if err := writePEM(dir.Key(id.file+".crt"), "CERTIFICATE", cert.Raw); err != nil {
		return err
	}
	if err := writeKey(dir.Key(id.file+".key"), key); err != nil {
		return err
	}
	if id.kubeconfig == "" {
		return nil
	}
	return writeKubeconfig(dir, dir.Key(id.file+".kubeconfig"), id.file, id.kubeconfig)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
