package client

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

// ErrWrongCA means that whoever answered is not a coordinator of the cluster. It
// was sent nothing.
var ErrWrongCA = errors.New("not a coordinator of this cluster")

// trust decides whom to talk to and proves who we are. A coordinator is recognised
// by the cluster authority and by its URI name alone: its address may change, and
// no other machine of the cluster has such a name.
type trust struct {
	roots    *x509.CertPool
	identity *Identity
	// refused is the reason why the last handshake was broken off by us.
	refused atomic.Pointer[error]
}

func newTrust(config Config) (*trust, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(config.CA) {
		return nil, errors.New("read CA of the cluster: no certificate in PEM text")
	}
	return &trust{roots: roots, identity: config.Identity}, nil
}

func (t *trust) tls() *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS13,
		// The check by host name is replaced by verify, which is stricter.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			err := verify(state.PeerCertificates, t.roots)
			t.refused.Store(&err)
			return err
		},
	}
	if t.identity != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return t.identity.certificate(), nil
		}
	}
	return config
}

// refusal returns why the peer of the last handshake was not trusted.
func (t *trust) refusal() error {
	if reason := t.refused.Load(); reason != nil {
		return *reason
	}
	return nil
}

// verify accepts a chain whose leaf the roots signed for a coordinator.
func verify(chain []*x509.Certificate, roots *x509.CertPool) error {
	if len(chain) == 0 {
		return fmt.Errorf("no certificate: %w", ErrWrongCA)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots}); err != nil {
		return fmt.Errorf("%w: %w", ErrWrongCA, err)
	}
	if role, _ := nameOf(chain[0]); role != "coordinator" {
		return fmt.Errorf("certificate of a %q: %w", role, ErrWrongCA)
	}
	return nil
}

// pinned returns the authority of a chain whose SHA-256 a join token names.
func pinned(chain []*x509.Certificate, pin []byte) (*x509.Certificate, error) {
	for _, certificate := range chain {
		sum := sha256.Sum256(certificate.Raw)
		if string(sum[:]) == string(pin) && certificate.IsCA {
			return certificate, nil
		}
	}
	return nil, fmt.Errorf("no certificate has the digest in the join token: %w", ErrWrongCA)
}

// nameOf reads role and ID from spiffe://<cluster>/<role>/<id>.
func nameOf(certificate *x509.Certificate) (role, id string) {
	if len(certificate.URIs) != 1 || certificate.URIs[0].Scheme != "spiffe" {
		return "", ""
	}
	parts := strings.Split(strings.TrimPrefix(certificate.URIs[0].Path, "/"), "/")
	if len(parts) != 2 {
		return "", ""
	}
	return parts[0], parts[1]
}

// bearer sends a token with every call, over TLS only.
type bearer string

// credentials.PerRPCCredentials

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

// String hides the token.
func (bearer) String() string { return "token hidden" }

// GoString hides the token from %#v as well.
func (bearer) GoString() string { return "token hidden" }
