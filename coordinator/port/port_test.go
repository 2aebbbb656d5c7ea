package port

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

func serverConfig(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
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
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

func start(t *testing.T) (*Port, *x509.CertPool) {
	t.Helper()
	config, pool := serverConfig(t)
	p, err := Listen("127.0.0.1:0", config, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return p, pool
}

func TestPort_HandsEachProtocolToItsListener(t *testing.T) {
	p, pool := start(t)
	for name, l := range map[string]net.Listener{GRPC: p.GRPC(), Raft: p.Raft()} {
		client, err := tls.Dial("tcp", p.Addr().String(), &tls.Config{RootCAs: pool, NextProtos: []string{name}})
		if err != nil {
			t.Fatalf("dial %s: %v", name, err)
		}
		defer client.Close()
		server, err := l.Accept()
		if err != nil {
			t.Fatalf("accept %s: %v", name, err)
		}
		defer server.Close()
		if got := server.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != name {
			t.Errorf("listener of %q got a connection of %q", name, got)
		}
	}
}

func TestPort_RefusesPlainTextAndForeignProtocols(t *testing.T) {
	p, pool := start(t)
	plain, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	plain.SetReadDeadline(time.Now().Add(5 * time.Second))
	answer := make([]byte, 64)
	for {
		if _, err := plain.Read(answer); err != nil {
			break // closed, perhaps after a TLS alert
		}
	}
	if _, err := tls.Dial("tcp", p.Addr().String(), &tls.Config{RootCAs: pool, NextProtos: []string{"spdy/3"}}); err == nil {
		t.Error("a connection with an unknown protocol was accepted")
	}
	if len(p.grpc.conns)+len(p.raft.conns) != 0 {
		t.Error("a refused connection reached a server")
	}
}

func TestListener_AcceptEndsWhenThePortCloses(t *testing.T) {
	p, _ := start(t)
	ended := make(chan error, 1)
	go func() { _, err := p.Raft().Accept(); ended <- err }()
	p.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: got %v, want %v", err, net.ErrClosed)
	}
}

func TestCredentials_RefusePlainConnections(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, _, err := Credentials().ServerHandshake(a); err == nil {
		t.Error("a plain connection was taken for a TLS one")
	}
}

// exhausted refuses a connection once, as a system without file descriptors does.
type exhausted struct {
	net.Listener
	refused chan struct{}
}

func (e *exhausted) Accept() (net.Conn, error) {
	select {
	case e.refused <- struct{}{}:
		return nil, syscall.EMFILE
	default:
		return e.Listener.Accept()
	}
}

func TestPort_GoesOnWhenTheSystemRefusesAConnection(t *testing.T) {
	config, pool := serverConfig(t)
	p, err := Listen("127.0.0.1:0", config, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	p.tcp = &exhausted{Listener: p.tcp, refused: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	client, err := tls.Dial("tcp", p.Addr().String(), &tls.Config{RootCAs: pool, NextProtos: []string{GRPC}})
	if err != nil {
		t.Fatalf("dial after a refusal: %v", err)
	}
	client.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// silent opens connections that never say anything.
func silent(t *testing.T, p *Port, n int) []net.Conn {
	t.Helper()
	var conns []net.Conn
	for range n {
		conn, err := net.Dial("tcp", p.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conns = append(conns, conn)
	}
	return conns
}

// closed tells whether the other end closes a connection within a second.
func closed(conn net.Conn) bool {
	conn.SetReadDeadline(time.Now().Add(time.Second))
	_, err := conn.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// One machine that opens connections and says nothing keeps nobody out: what it has
// too many of is closed at once.
func TestPort_ClosesWhatIsTooMuchOfOneAddress(t *testing.T) {
	p, _ := start(t)
	conns := silent(t, p, maxHandshakesEach+10)
	for i, conn := range conns[maxHandshakesEach:] {
		if !closed(conn) {
			t.Errorf("connection %d beyond the bound is kept", i)
		}
	}
}

// Silent machines at many addresses give way to who comes after them.
func TestPeers_TheOldestHandshakeMakesRoom(t *testing.T) {
	p := newPeers()
	first := &fakeConn{address: "10.1.0.1:1"}
	if _, ok := p.shake(first); !ok {
		t.Fatal("the first handshake was refused")
	}
	for i := range maxHandshakes {
		if first.closed {
			t.Fatalf("the oldest gave way when there were %d", i+1)
		}
		if _, ok := p.shake(&fakeConn{address: fmt.Sprintf("10.0.%d.%d:1", i/250, i%250)}); !ok {
			t.Fatalf("handshake %d was refused", i)
		}
	}
	if !first.closed {
		t.Error("nobody made room")
	}
}

func TestPeers_BoundsConnectionsOfAnAddressAndGivesPlacesBack(t *testing.T) {
	p := newPeers()
	var open []*counted
	for range maxConnectionsEach {
		c, ok := p.enter(&fakeConn{address: "10.0.0.1:1"})
		if !ok {
			t.Fatalf("refused after %d", len(open))
		}
		open = append(open, c)
	}
	if _, ok := p.enter(&fakeConn{address: "10.0.0.1:2"}); ok {
		t.Error("one more of the address was let in")
	}
	if _, ok := p.enter(&fakeConn{address: "10.0.0.2:1"}); !ok {
		t.Error("another address was kept out")
	}
	for _, c := range open {
		c.Close()
		c.Close() // counts once
	}
	if len(p.open) != 1 || p.total != 1 {
		t.Errorf("places left taken: %v of %d", p.open, p.total)
	}
}

// fakeConn is a connection from an address.
type fakeConn struct {
	net.Conn
	address string
	closed  bool
}

func (c *fakeConn) Close() error { c.closed = true; return nil }

func (c *fakeConn) RemoteAddr() net.Addr { return fakeAddr(c.address) }

type fakeAddr string

func (fakeAddr) Network() string  { return "tcp" }
func (a fakeAddr) String() string { return string(a) }
