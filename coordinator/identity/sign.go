package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// SignMachine signs the request of a node or ingress for the identity that the
// coordinator gave it. Of the request only the key is used. One that names another
// identity gives ErrRequest; its other names are ignored. The pool, if there is one,
// is what PoolOf tells of the certificate: a machine cannot choose its own.
func (a *Authority) SignMachine(csr []byte, name Name, pool string, now time.Time) ([]byte, error) {
	request, err := parseRequest(csr)
	if err != nil {
		return nil, err
	}
	if err := a.owns(name); err != nil {
		return nil, err
	}
	for _, asked := range request.URIs {
		if asked.String() != name.String() {
			return nil, fmt.Errorf("sign %s: request names %q: %w", name, asked, ErrRequest)
		}
	}
	subject := pkix.Name{CommonName: name.ID, Organization: []string{roleWords[name.Role]}}
	if pool != "" {
		subject.OrganizationalUnit = []string{pool}
	}
	return a.issue(&x509.Certificate{
		Subject:     subject,
		URIs:        []*url.URL{name.URI()},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, request.PublicKey, now)
}

// PoolOf returns the pool that a node's certificate is bound to; empty when it is
// bound to none.
func PoolOf(certificate *x509.Certificate) string {
	if len(certificate.Subject.OrganizationalUnit) != 1 {
		return ""
	}
	return certificate.Subject.OrganizationalUnit[0]
}

// SignNames signs a request for a server that answers to DNS names. Whether the
// caller may have them is the caller's decision; a request that names others gives
// ErrRequest.
func (a *Authority) SignNames(csr []byte, names []string, now time.Time) ([]byte, error) {
	request, err := parseRequest(csr)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 || len(request.URIs) > 0 || len(request.IPAddresses) > 0 {
		return nil, fmt.Errorf("sign DNS names %q: %w", names, ErrRequest)
	}
	for _, asked := range request.DNSNames {
		if !slices.Contains(names, asked) {
			return nil, fmt.Errorf("sign DNS names %q: request names %q: %w", names, asked, ErrRequest)
		}
	}
	return a.issue(&x509.Certificate{
		// The common name is for people; its length is bounded by X.509, a host
		// name's is not, so it is left to the SAN.
		DNSNames:    slices.Clone(names),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, request.PublicKey, now)
}

// IssueCoordinator makes a key and a certificate for a coordinator that listens on
// hosts (names or IP addresses). It is good for both ends of a connection, since
// coordinators also call each other.
func (a *Authority) IssueCoordinator(id string, hosts []string, now time.Time) (tls.Certificate, error) {
	name := Name{Cluster: a.cluster, Role: runwayv1.Role_ROLE_COORDINATOR, ID: id}
	if err := a.owns(name); err != nil {
		return tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make key of coordinator %q: %w", id, err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: id, Organization: []string{roleWords[name.Role]}},
		URIs:        []*url.URL{name.URI()},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	template.DNSNames, template.IPAddresses = splitHosts(hosts)
	chain, err := a.issue(template, key.Public(), now)
	if err != nil {
		return tls.Certificate{}, err
	}
	return pair(chain, key)
}

// owns refuses a name of another cluster.
func (a *Authority) owns(name Name) error {
	if err := name.Validate(); err != nil {
		return err
	}
	if name.Cluster != a.cluster {
		return fmt.Errorf("sign %s by cluster %q: %w", name, a.cluster, ErrRequest)
	}
	return nil
}

// parseRequest reads a PKCS #10 request whose signature proves that its sender has
// the key. Only P-256 keys are accepted: one algorithm, no weak choices.
func parseRequest(der []byte) (*x509.CertificateRequest, error) {
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("parse certificate request: %w: %w", err, ErrRequest)
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("check certificate request: %w: %w", err, ErrRequest)
	}
	key, ok := request.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("check certificate request: key is not ECDSA P-256: %w", ErrRequest)
	}
	return request, nil
}

func splitHosts(hosts []string) (names []string, addresses []net.IP) {
	for _, host := range hosts {
		if address := net.ParseIP(host); address != nil {
			addresses = append(addresses, address)
			continue
		}
		names = append(names, host)
	}
	return names, addresses
}

// pair joins a PEM chain and its key for use by crypto/tls.
func pair(chain []byte, key *ecdsa.PrivateKey) (tls.Certificate, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("encode key: %w", err)
	}
	certificate, err := tls.X509KeyPair(chain, encodeKey(der))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("join key and certificate: %w", err)
	}
	return certificate, nil
}
