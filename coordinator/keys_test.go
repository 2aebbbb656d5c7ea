package coordinator

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/identity"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func stateWith(t *testing.T, leaf *x509.Certificate) tls.ConnectionState {
	t.Helper()
	if leaf == nil {
		return tls.ConnectionState{}
	}
	return tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
}

// A machine that was off for longer than its certificate lives comes back by itself.
func TestCoordinator_RenewsAnExpiredCertificateAtItsStart(t *testing.T) {
	c := config(t, t.TempDir())
	process, stop := run(t, c)
	if _, err := info(t, c, process); err != nil {
		t.Fatal(err)
	}
	expired := time.Now().Add(-time.Minute)
	if err := c.issueOwn(process.authority(), process.name.ID, expired.Add(-30*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	stop()

	registry := prometheus.NewRegistry()
	c.Registerer = registry
	process, stop = run(t, c)
	defer stop()
	if leaf := process.keys.own.Load().Leaf; !identity.Expired(leaf, time.Now()) {
		t.Fatalf("the test's certificate is valid until %s", leaf.NotAfter)
	}
	if _, err := info(t, c, process); err != nil {
		t.Fatalf("nobody can connect: %v", err)
	}
	leaf := process.keys.own.Load().Leaf
	if left := time.Until(leaf.NotAfter); left < 29*24*time.Hour {
		t.Errorf("the certificate lives for %s more, want a new one", left)
	}
	shown := gauge(t, registry, "runway_coordinator_certificate_expiry_timestamp_seconds", "coordinator")
	if shown != float64(leaf.NotAfter.Unix()) {
		t.Errorf("the metric shows %v, want %v", shown, leaf.NotAfter.Unix())
	}
}

// gauge returns the value of a gauge with one label.
func gauge(t *testing.T, gatherer prometheus.Gatherer, name, label string) float64 {
	t.Helper()
	families, err := gatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s for %q", name, label)
	return 0
}

// Nobody has a token that counts; the machine of a coordinator is the way back.
func TestConfig_MakeAdminToken(t *testing.T) {
	c := config(t, t.TempDir())
	process, stop := run(t, c)
	defer stop()
	if _, err := info(t, c, process); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.AdminTokenFile, []byte("rwt_lost\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Advertise = process.Addr().String()

	token, err := c.MakeAdminToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	conn, err := client.Dial(client.Config{Addresses: []string{c.Advertise}, CAFile: c.CAFile, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	made, err := runwayv1.NewTokensClient(conn).ListTokens(t.Context(), &runwayv1.ListTokensRequest{})
	if err != nil || len(made.GetTokens()) != 2 {
		t.Errorf("ListTokens with the new token = %v, %v", made, err)
	}
	events := process.store.View().Events(10)
	if !slices.ContainsFunc(events, func(e *runwayv1.Event) bool {
		return e.GetKind() == "token.created" && e.GetMessage() == "token admin made at coordinator-1"
	}) {
		t.Errorf("no event tells of the token: %v", events)
	}
}
