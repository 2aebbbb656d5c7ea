package identity

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"
)

// ServerTLS is the TLS configuration of a coordinator's listener: TLS 1.3 only, a
// client certificate is optional but, when there is one, must be of this cluster.
// An expired one is let through the handshake, because a known machine may still
// renew; Caller checks must refuse it everything else (see Expired).
func ServerTLS(own func() *tls.Certificate, authority *x509.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequestClientCert,
		// A resumed session would skip the check of the certificate.
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return own(), nil
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return nil
			}
			return VerifyMachine(state.PeerCertificates[0], authority, time.Now())
		},
	}
}

// VerifyMachine checks that a certificate was made by the authority for a machine
// that calls others. It does not refuse one that has expired.
func VerifyMachine(certificate, authority *x509.Certificate, now time.Time) error {
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	at := now
	if Expired(certificate, now) {
		at = certificate.NotAfter
	}
	_, err := certificate.Verify(x509.VerifyOptions{
		Roots:       roots,
		CurrentTime: at,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("verify certificate of %q: %w", certificate.Subject.CommonName, err)
	}
	_, err = NameOf(certificate)
	return err
}

// Expired says whether a certificate's life is over.
func Expired(certificate *x509.Certificate, now time.Time) bool {
	return now.After(certificate.NotAfter)
}
