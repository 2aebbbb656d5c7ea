package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// ErrNotPeer means that whoever is at the other end is not a machine of this cluster
// with the role that is expected there.
var ErrNotPeer = errors.New("not the expected machine of this cluster")

// peerRoles are how the roles of machines are written in their names.
var peerRoles = map[runwayv1.Role]string{
	runwayv1.Role_ROLE_NODE:    "node",
	runwayv1.Role_ROLE_INGRESS: "ingress",
}

// PeerTLS returns a configuration for either end of a connection to a machine of the
// role, a node or an ingress, of the same cluster. Both ends show the certificates
// with which they talk to the coordinator; an expired one is refused here. Addresses
// are not compared: the name in the certificate is who the machine is.
func (i *Identity) PeerTLS(role runwayv1.Role) (*tls.Config, error) {
	word := peerRoles[role]
	if word == "" {
		return nil, fmt.Errorf("make TLS configuration for %s: %w", role, ErrNotPeer)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(i.CA()) {
		return nil, errors.New("read CA of the cluster: no certificate in PEM text")
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequireAnyClientCert,
		// A resumed session would skip the check of the certificate.
		SessionTicketsDisabled: true,
		// The check by host name is replaced by verifyPeer.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			return verifyPeer(state.PeerCertificates, roots, word)
		},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return i.certificate(), nil },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return i.certificate(), nil
		},
	}, nil
}

// verifyPeer accepts a chain whose leaf the roots signed for a machine of the role.
func verifyPeer(chain []*x509.Certificate, roots *x509.CertPool, role string) error {
	if len(chain) == 0 {
		return fmt.Errorf("no certificate: %w", ErrNotPeer)
	}
	options := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := chain[0].Verify(options); err != nil {
		return fmt.Errorf("%w: %w", ErrNotPeer, err)
	}
	if got, _ := nameOf(chain[0]); got != role {
		return fmt.Errorf("certificate of a %q, want a %q: %w", got, role, ErrNotPeer)
	}
	return nil
}
