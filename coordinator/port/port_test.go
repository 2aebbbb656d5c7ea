package port

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
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
	if err := <-ended; err != net.ErrClosed {
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
