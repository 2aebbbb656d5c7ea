package coordinator

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

func stateWith(t *testing.T, leaf *x509.Certificate) tls.ConnectionState {
	t.Helper()
	if leaf == nil {
		return tls.ConnectionState{}
	}
	return tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
}
