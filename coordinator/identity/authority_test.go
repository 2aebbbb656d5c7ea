package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"net/url"
	"testing"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newTestAuthority(t *testing.T, cluster string) *Authority {
	t.Helper()
	authority, err := NewAuthority(cluster, start)
	if err != nil {
		t.Fatalf("NewAuthority(%q): %v", cluster, err)
	}
	return authority
}

func newRequest(t *testing.T, template x509.CertificateRequest) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func mustParse(t *testing.T, chain []byte) *x509.Certificate {
	t.Helper()
	certificate, err := ParseCertificate(chain)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func nodeName(id string) Name {
	return Name{Cluster: "c1", Role: runwayv1.Role_ROLE_NODE, ID: id}
}

func TestAuthority_LifeAndBackdate(t *testing.T) {
	t.Parallel()
	certificate := newTestAuthority(t, "c1").Certificate()
	if want := start.Add(-time.Hour); !certificate.NotBefore.Equal(want) {
		t.Errorf("NotBefore = %v, want %v", certificate.NotBefore, want)
	}
	if got := certificate.NotAfter.Sub(start); got != authorityLife {
		t.Errorf("life = %v, want %v", got, authorityLife)
	}
	if !certificate.IsCA || !certificate.MaxPathLenZero {
		t.Error("authority may not be a CA of leaves only")
	}
}

func TestAuthority_SurvivesStorage(t *testing.T) {
	t.Parallel()
	authority := newTestAuthority(t, "c1")
	key, err := authority.KeyDER()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := LoadAuthority(authority.CertificatePEM(), key)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Cluster() != "c1" || loaded.Pin() != authority.Pin() {
		t.Errorf("loaded authority differs: cluster %q", loaded.Cluster())
	}
	if _, err := LoadAuthority(newTestAuthority(t, "c1").CertificatePEM(), key); err == nil {
		t.Error("LoadAuthority took another authority's key")
	}
}

func TestSignMachine_UsesOnlyTheKeyOfTheRequest(t *testing.T) {
	t.Parallel()
	authority := newTestAuthority(t, "c1")
	csr := newRequest(t, x509.CertificateRequest{DNSNames: []string{"coordinator.example"}})
	chain, err := authority.SignMachine(csr, nodeName("n1"), "", start)
	if err != nil {
		t.Fatal(err)
	}
	certificate := mustParse(t, chain)
	if name, err := NameOf(certificate); err != nil || name != nodeName("n1") {
		t.Errorf("NameOf = %v, %v", name, err)
	}
	if len(certificate.DNSNames) != 0 || certificate.IsCA {
		t.Errorf("names of the request were copied: %v", certificate.DNSNames)
	}
	if got := certificate.NotAfter.Sub(start); got != certificateLife {
		t.Errorf("life = %v, want %v", got, certificateLife)
	}
	if err := VerifyMachine(certificate, authority.Certificate(), start); err != nil {
		t.Errorf("VerifyMachine: %v", err)
	}
}

func TestSignMachine_Refuses(t *testing.T) {
	t.Parallel()
	authority := newTestAuthority(t, "c1")
	plain := newRequest(t, x509.CertificateRequest{})
	foreign := newRequest(t, x509.CertificateRequest{URIs: []*url.URL{nodeName("n2").URI()}})
	damaged := append([]byte(nil), plain...)
	damaged[len(damaged)-1] ^= 1
	tests := []struct {
		name string
		csr  []byte
		id   Name
		want error
	}{
		{"request for another id", foreign, nodeName("n1"), ErrRequest},
		{"damaged signature", damaged, nodeName("n1"), ErrRequest},
		{"not a request", []byte("hello"), nodeName("n1"), ErrRequest},
		{"another cluster", plain, Name{Cluster: "c2", Role: runwayv1.Role_ROLE_NODE, ID: "n1"}, ErrRequest},
		{"a person's role", plain, Name{Cluster: "c1", Role: runwayv1.Role_ROLE_CLUSTER_ADMIN, ID: "n1"}, ErrName},
		{"id with a slash", plain, nodeName("n1/x"), ErrName},
		{"empty id", plain, nodeName(""), ErrName},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := authority.SignMachine(tt.csr, tt.id, "", start); !errors.Is(err, tt.want) {
				t.Errorf("SignMachine = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSignNames(t *testing.T) {
	t.Parallel()
	authority := newTestAuthority(t, "c1")
	host := "web.default.runway.localhost"
	tests := []struct {
		name    string
		request x509.CertificateRequest
		names   []string
		want    error
	}{
		{"names of the caller", x509.CertificateRequest{}, []string{host}, nil},
		{"request repeats them", x509.CertificateRequest{DNSNames: []string{host}}, []string{host}, nil},
		{"request adds one", x509.CertificateRequest{DNSNames: []string{"evil.example"}}, []string{host}, ErrRequest},
		{"request adds an identity", x509.CertificateRequest{URIs: []*url.URL{nodeName("n1").URI()}}, []string{host}, ErrRequest},
		{"no names", x509.CertificateRequest{}, nil, ErrRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			chain, err := authority.SignNames(newRequest(t, tt.request), tt.names, start)
			if !errors.Is(err, tt.want) {
				t.Fatalf("SignNames = %v, want %v", err, tt.want)
			}
			if err != nil {
				return
			}
			certificate := mustParse(t, chain)
			if err := certificate.VerifyHostname(host); err != nil {
				t.Error(err)
			}
			if VerifyMachine(certificate, authority.Certificate(), start) == nil {
				t.Error("a service's certificate passes as a machine")
			}
		})
	}
}

func TestIssueCoordinator_NamesItsHosts(t *testing.T) {
	t.Parallel()
	authority := newTestAuthority(t, "c1")
	certificate, err := authority.IssueCoordinator("k1", []string{"127.0.0.1", "c.example"}, start)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "c.example"} {
		_, err := certificate.Leaf.Verify(x509.VerifyOptions{Roots: authority.Pool(), DNSName: host, CurrentTime: start})
		if err != nil {
			t.Errorf("verify %q: %v", host, err)
		}
	}
	if len(certificate.Certificate) != 2 {
		t.Errorf("chain of %d certificates, want leaf and authority: join tokens pin the latter", len(certificate.Certificate))
	}
}

func TestVerifyMachine(t *testing.T) {
	t.Parallel()
	authority, other := newTestAuthority(t, "c1"), newTestAuthority(t, "c1")
	chain, err := authority.SignMachine(newRequest(t, x509.CertificateRequest{}), nodeName("n1"), "", start)
	if err != nil {
		t.Fatal(err)
	}
	certificate := mustParse(t, chain)
	late := start.Add(31 * 24 * time.Hour)
	if err := VerifyMachine(certificate, authority.Certificate(), late); err != nil {
		t.Errorf("expired certificate: %v; it must get as far as Renew", err)
	}
	if !Expired(certificate, late) || Expired(certificate, start) {
		t.Error("Expired is wrong")
	}
	if VerifyMachine(certificate, other.Certificate(), start) == nil {
		t.Error("certificate of another authority passed")
	}
}

func TestNameOf_ReadsTheURIOnly(t *testing.T) {
	t.Parallel()
	parse := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	tests := []struct {
		name string
		uris []*url.URL
		ok   bool
	}{
		{"canonical", []*url.URL{parse("spiffe://c1/node/n1")}, true},
		{"none", nil, false},
		{"two", []*url.URL{parse("spiffe://c1/node/n1"), parse("spiffe://c1/node/n2")}, false},
		{"other scheme", []*url.URL{parse("https://c1/node/n1")}, false},
		{"other role", []*url.URL{parse("spiffe://c1/admin/n1")}, false},
		{"upper case role", []*url.URL{parse("spiffe://c1/Node/n1")}, false},
		{"escaped", []*url.URL{parse("spiffe://c1/node/n%31")}, false},
		{"deeper", []*url.URL{parse("spiffe://c1/node/n1/x")}, false},
		{"query", []*url.URL{parse("spiffe://c1/node/n1?x=1")}, false},
		{"user", []*url.URL{parse("spiffe://u@c1/node/n1")}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			certificate := &x509.Certificate{URIs: tt.uris}
			certificate.Subject.CommonName = "coordinator"
			name, err := NameOf(certificate)
			if tt.ok && (err != nil || name != nodeName("n1")) {
				t.Errorf("NameOf = %v, %v", name, err)
			}
			if !tt.ok && !errors.Is(err, ErrName) {
				t.Errorf("NameOf = %v, %v; want ErrName", name, err)
			}
		})
	}
}
