package consensus

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

const testCluster = "spiffe://test/"

// authority signs certificates of a test cluster.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authority{cert: cert, key: key, pool: pool}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// tls returns the settings of a member whose certificate names it by path.
func (a *authority) tls(t *testing.T, path string) *tls.Config {
	t.Helper()
	name, err := url.Parse(testCluster + path)
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), URIs: []*url.URL{name}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs:      a.pool, ClientCAs: a.pool, ServerName: "localhost",
		ClientAuth: tls.RequireAndVerifyClientCert, NextProtos: []string{Protocol}, MinVersion: tls.VersionTLS13,
	}
}

func coordinatorsOnly(connection tls.ConnectionState) error {
	for _, name := range connection.PeerCertificates[0].URIs {
		if strings.HasPrefix(name.String(), testCluster+"coordinator/") {
			return nil
		}
	}
	return errors.New("the certificate is not a coordinator's")
}

// streams listens on loopback for a coordinator.
func (a *authority) streams(t *testing.T, id string) (Streams, string) {
	t.Helper()
	settings := a.tls(t, "coordinator/"+id)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", settings)
	if err != nil {
		t.Fatal(err)
	}
	return Streams{Listener: listener, ClientTLS: settings, VerifyPeer: coordinatorsOnly}, listener.Addr().String()
}

func TestStreams_clusterOverTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	var nodes members
	for i, id := range []string{"one", "two", "three"} {
		config := onDisk(t.TempDir(), testLogger(t))
		config.ID, config.Transport, config.Bootstrap, config.Join = id, nil, i == 0, i != 0
		config.Streams, config.Address = ca.streams(t, id)
		n, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(t, n) })
		if i == 0 {
			if err := awaitLeader(n); err != nil {
				t.Fatal(err)
			}
		} else {
			nodes.lead(t, func(leader *Node) error { return leader.AddVoter(t.Context(), id, config.Address) })
		}
		nodes = append(nodes, n)
	}
	nodes.lead(t, func(leader *Node) error {
		_, err := leader.Apply(t.Context(), putSpace("a"))
		return err
	})
	for _, n := range nodes {
		awaitSpace(t, n, "a")
	}
	nodes.lead(t, func(leader *Node) error {
		known, err := nodes[2].Members()
		if err != nil || len(known) != 3 || !known[2].Voter {
			t.Errorf("Members() = %v, %v", known, err)
		}
		if i := slices.IndexFunc(known, func(m Member) bool { return m.Leader }); i < 0 || nodes[i] != leader {
			return ErrNotLeader // it has not heard of the newest election
		}
		return nil
	})
	nodes.lead(t, func(leader *Node) error { return leader.Remove(t.Context(), "three") })
	nodes.lead(t, func(leader *Node) error {
		known, err := leader.Members()
		if err != nil || len(known) != 2 {
			t.Errorf("without three, Members() = %v, %v", known, err)
		}
		return nil
	})
}

// members are in the order in which they joined.
type members []*Node

// lead has the leader do something that may be done twice. There are elections on a
// busy machine: a leader that is not scheduled for 250 ms does not lead any more.
func (m members) lead(t *testing.T, do func(leader *Node) error) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-poll.C {
		for _, n := range m {
			if _, leads := n.Leader(); !leads {
				continue
			}
			err := do(n)
			if err == nil {
				return
			}
			if !errors.Is(err, ErrNotLeader) && !errors.Is(err, ErrUncertain) {
				t.Fatal(err)
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("no leader that lasts within 30s")
		}
	}
}

// noting is a listener that tells when a connection of it was closed.
type noting struct {
	net.Listener
	closed chan struct{}
}

type noted struct {
	*tls.Conn
	closed func()
}

func (n noting) Accept() (net.Conn, error) {
	conn, err := n.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return noted{conn.(*tls.Conn), sync.OnceFunc(func() { close(n.closed) })}, nil
}

func (n noted) Close() error {
	n.closed()
	return n.Conn.Close()
}

func TestStreams_closedTransportKeepsNoConnection(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	near, nearAddress := ca.streams(t, "near")
	far, farAddress := ca.streams(t, "far")
	closed := make(chan struct{})
	far.Listener = noting{far.Listener, closed}
	a, b := newTransport(nearAddress, near, testLogger(t)), newTransport(farAddress, far, testLogger(t))
	defer b.Close()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		request := <-b.Consumer()
		request.Respond(&raft.RequestVoteResponse{}, nil)
	}()
	if err := a.RequestVote("far", raft.ServerAddress(farAddress), &raft.RequestVoteRequest{}, &raft.RequestVoteResponse{}); err != nil {
		t.Fatal(err)
	}
	<-answered
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the other member still waits at the connection of one that stopped")
	}
	runtime.KeepAlive(a) // a collected connection is closed, too
}

func awaitSpace(t *testing.T, n *Node, name string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		view := n.store.View()
		if view.Space(name) != nil {
			return
		}
		select {
		case <-view.Changed():
		case <-deadline:
			t.Fatalf("space %q not replicated within 10s", name)
		}
	}
}

func TestStreams_refusesStrangersBeforeRaft(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	wrongProtocol := ca.tls(t, "coordinator/x")
	wrongProtocol.NextProtos = nil
	tests := []struct {
		name string
		dial func(net.Conn) net.Conn
	}{
		{"plain TCP", func(c net.Conn) net.Conn { return c }},
		{"certificate of a node", func(c net.Conn) net.Conn { return tls.Client(c, ca.tls(t, "node/x")) }},
		{"certificate of another cluster", func(c net.Conn) net.Conn {
			settings := other.tls(t, "coordinator/x")
			settings.RootCAs = ca.pool
			return tls.Client(c, settings)
		}},
		{"no certificate", func(c net.Conn) net.Conn {
			return tls.Client(c, &tls.Config{RootCAs: ca.pool, ServerName: "localhost", NextProtos: []string{Protocol}})
		}},
		{"another protocol", func(c net.Conn) net.Conn { return tls.Client(c, wrongProtocol) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			streams, address := ca.streams(t, "one")
			layer := &streamLayer{Streams: streams, address: memberAddress(address)}
			defer layer.Close()
			received := make(chan error, 1)
			go func() {
				conn, err := layer.Accept()
				if err != nil {
					received <- err
					return
				}
				defer conn.Close()
				if n, err := conn.Read(make([]byte, 1)); err != nil || n == 0 {
					received <- err
					return
				}
				received <- nil
			}()
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			// As raft would: type 0 and a message. A refusal may come before or after
			// it is sent.
			_, _ = test.dial(conn).Write(append([]byte{0}, "a message of raft that is long enough for a TLS record"...))
			if err := <-received; err == nil {
				t.Error("a stranger's byte reached raft")
			}
		})
	}
}

func TestStreams_refusesListenerOfPlainConnections(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	defer client.Close()
	conn := &verifiedConn{Conn: server, verify: coordinatorsOnly}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("read from a connection that is not TLS")
	}
	if _, err := conn.Write([]byte{1}); err == nil {
		t.Error("wrote to a connection that is not TLS")
	}
}

func TestStreams_doesNotDialStrangers(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", ca.tls(t, "node/x"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_ = conn.(*tls.Conn).HandshakeContext(context.Background())
			conn.Close()
		}
	}()
	streams, address := ca.streams(t, "one")
	defer streams.Listener.Close()
	layer := &streamLayer{Streams: streams, address: memberAddress(address)}
	target := listener.Addr().String()
	if conn, err := layer.Dial(raft.ServerAddress(target), 5*time.Second); err == nil {
		conn.Close()
		t.Error("dialled a node as if it were a coordinator")
	}
}
