package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/identity"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// machine enrols one with the role in the cluster of the authority.
func machine(t *testing.T, authority *identity.Authority, role runwayv1.Role) *client.Identity {
	t.Helper()
	c := start(t, authority, "a:1")
	c.role = role
	token, err := authority.NewJoinToken(role)
	if err != nil {
		t.Fatal(err)
	}
	enrolled, err := client.Enrol(testContext(t), client.Enrolment{
		Addresses: []string{"a:1"}, JoinToken: token.Text(), Name: "vm", Directory: filepath.Join(t.TempDir(), "identity"),
		Dialer: network{"a:1": c}.dial,
	})
	if err != nil {
		t.Fatal(err)
	}
	return enrolled
}

// meet connects two machines, and returns what each of them made of it.
func meet(t *testing.T, server, dialler *tls.Config) (accepted, dialled error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			defer conn.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			err = tls.Server(conn, server).HandshakeContext(ctx)
		}
		done <- err
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	dialled = tls.Client(conn, dialler).HandshakeContext(testContext(t))
	if dialled != nil {
		conn.Close()
	}
	return <-done, dialled
}

func TestPeerTLS_OnlyMachinesOfTheRoleAndCluster(t *testing.T) {
	t.Parallel()
	const node, ingress = runwayv1.Role_ROLE_NODE, runwayv1.Role_ROLE_INGRESS
	ours, theirs := newAuthority(t), newAuthority(t)
	config := func(m *client.Identity, peer runwayv1.Role) *tls.Config {
		t.Helper()
		c, err := m.PeerTLS(peer)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	agent := config(machine(t, ours, node), ingress)
	asks := config(machine(t, ours, ingress), node)
	none := asks.Clone()
	none.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	foreign := config(machine(t, theirs, ingress), node)
	careless := foreign.Clone()
	careless.VerifyConnection = nil
	for _, row := range []struct {
		name            string
		server, dialler *tls.Config
		refusedBy       string
	}{
		{"an ingress asks a node", agent, asks, ""},
		{"a node asks a node", agent, config(machine(t, ours, node), node), "server"},
		{"somebody without a certificate asks", agent, none, "server"},
		{"an ingress of another cluster asks", agent, foreign, "dialler"},
		{"an ingress of another cluster asks anybody", agent, careless, "server"},
		{"an ingress poses as a node", config(machine(t, ours, ingress), ingress), asks, "dialler"},
		{"a node of another cluster answers", config(machine(t, theirs, node), ingress), asks, "dialler"},
	} {
		t.Run(row.name, func(t *testing.T) {
			accepted, dialled := meet(t, row.server, row.dialler)
			got := ""
			switch {
			case errors.Is(dialled, client.ErrNotPeer):
				got = "dialler"
			case accepted != nil:
				got = "server"
			}
			if got != row.refusedBy {
				t.Errorf("refused by %q, want %q: server %v, dialler %v", got, row.refusedBy, accepted, dialled)
			}
		})
	}
}

func TestPeerTLS_RefusesRolesThatAreNotMachines(t *testing.T) {
	t.Parallel()
	m := machine(t, newAuthority(t), runwayv1.Role_ROLE_NODE)
	for _, role := range []runwayv1.Role{runwayv1.Role_ROLE_UNSPECIFIED, runwayv1.Role_ROLE_COORDINATOR} {
		if _, err := m.PeerTLS(role); !errors.Is(err, client.ErrNotPeer) {
			t.Errorf("%s: got %v, want ErrNotPeer", role, err)
		}
	}
}
