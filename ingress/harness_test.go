package ingress

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Caddy's TLS app never ends its certificate cache's maintenance.
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*Cache).maintainAssets"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy.(*metricsUpstreamsHealthyUpdater).init.func1"),
		// Library worker pools that start with their packages.
		goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
	)
}

const testIncarnation = "first"

// fakeCoordinator plays the leading coordinator: tests send through it and read
// what the ingress said.
type fakeCoordinator struct {
	runwayv1.UnimplementedIngressSessionServer
	said    chan *runwayv1.IngressMessage
	streams chan grpc.BidiStreamingServer[runwayv1.IngressMessage, runwayv1.RouteMessage]
	saved   atomic.Uint64 // generation that is on disk, by the newest confirmation
	root    *x509.Certificate
	rootPEM []byte
	key     *ecdsa.PrivateKey

	mu       sync.Mutex
	signErr  error
	signed   []string
	hangUp   chan struct{}
	last     error // of the sessions that are broken
	welcomes string
}

func newFakeCoordinator(t *testing.T) *fakeCoordinator {
	t.Helper()
	f := &fakeCoordinator{
		said:     make(chan *runwayv1.IngressMessage, 1000),
		streams:  make(chan grpc.BidiStreamingServer[runwayv1.IngressMessage, runwayv1.RouteMessage], 10),
		hangUp:   make(chan struct{}),
		last:     errors.New("hung up"),
		welcomes: testIncarnation,
	}
	var err error
	if f.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	f.root = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, f.root, f.root, &f.key.PublicKey, f.key)
	if err != nil {
		t.Fatal(err)
	}
	f.rootPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return f
}

// Connect implements runwayv1.IngressSessionServer.
func (f *fakeCoordinator) Connect(stream grpc.BidiStreamingServer[runwayv1.IngressMessage, runwayv1.RouteMessage]) error {
	f.mu.Lock()
	hangUp, incarnation := f.hangUp, f.welcomes
	f.mu.Unlock()
	if err := stream.Send(&runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Welcome{
		Welcome: &runwayv1.IngressWelcome{Ingress: "i1", Incarnation: incarnation},
	}}); err != nil {
		return err
	}
	select {
	case f.streams <- stream:
	case <-stream.Context().Done():
		return nil
	}
	go func() {
		var told *runwayv1.RouteAck
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			if ack := m.GetAck(); ack != nil {
				f.saved.Store(ack.GetSaved())
				ack.Saved = 0
				if proto.Equal(told, ack) {
					continue // it says only that more is on disk
				}
				told = ack
			}
			f.said <- m
		}
	}()
	select {
	case <-hangUp:
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.last
	case <-stream.Context().Done():
		return nil
	}
}

// endSessions breaks every open session.
func (f *fakeCoordinator) endSessions(incarnation string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.hangUp)
	f.hangUp, f.welcomes = make(chan struct{}), incarnation
}

// SignCertificate implements runwayv1.IngressSessionServer.
func (f *fakeCoordinator) SignCertificate(_ context.Context, req *runwayv1.SignCertificateRequest) (*runwayv1.SignCertificateResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.signErr != nil {
		return nil, f.signErr
	}
	f.signed = append(f.signed, req.GetNames()...)
	csr, err := x509.ParseCertificateRequest(req.GetCsr())
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: req.GetNames(),
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
	}, f.root, csr.PublicKey, f.key)
	if err != nil {
		return nil, err
	}
	return &runwayv1.SignCertificateResponse{Chain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

func (f *fakeCoordinator) failSigning(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.signErr = err
}

// dial serves f and returns a connection to it.
func (f *fakeCoordinator) dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	runwayv1.RegisterIngressSessionServer(server, f)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///coordinator",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		server.Stop()
		// A test may be over before Serve began.
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return conn
}

// send gives the ingress a set over its newest session.
func send(t *testing.T, stream grpc.BidiStreamingServer[runwayv1.IngressMessage, runwayv1.RouteMessage], set *runwayv1.RouteSet) {
	t.Helper()
	if set.GetIncarnation() == "" {
		set.Incarnation = testIncarnation
	}
	if !set.GetFull() && set.GetBase() == 0 {
		set.Base = set.GetGeneration() - 1
	}
	if err := stream.Send(&runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Routes{Routes: set}}); err != nil {
		t.Fatal(err)
	}
}

// next returns the next message that pick likes.
func next[T any](t *testing.T, f *fakeCoordinator, pick func(*runwayv1.IngressMessage) *T) *T {
	t.Helper()
	deadline := time.After(15 * time.Second)
	for {
		select {
		case m := <-f.said:
			if got := pick(m); got != nil {
				return got
			}
		case <-deadline:
			t.Fatal("the ingress did not say it in time")
		}
	}
}

func acks(m *runwayv1.IngressMessage) *runwayv1.RouteAck       { return m.GetAck() }
func hellos(m *runwayv1.IngressMessage) *runwayv1.IngressHello { return m.GetHello() }
func counts(m *runwayv1.IngressMessage) *runwayv1.IngressStats { return m.GetStats() }

func key(service string) *runwayv1.WorkloadKey {
	return &runwayv1.WorkloadKey{Space: "default", Service: service, Environment: "production"}
}

func newRoute(service string, addresses ...string) *runwayv1.Route {
	r := &runwayv1.Route{
		Workload:      key(service),
		Hosts:         []string{service + ".default.example.com"},
		InternalHosts: []string{service + ".default.internal"},
		Protocol:      runwayv1.Protocol_PROTOCOL_HTTP1,
		Vacant:        len(addresses) == 0,
	}
	for i, address := range addresses {
		r.Endpoints = append(r.Endpoints, &runwayv1.Endpoint{Replica: service + "-" + string(rune('a'+i)), Address: address, Revision: 3})
	}
	return r
}

// config returns a configuration whose listeners are in memory.
func config(t *testing.T, dir string, coordinator grpc.ClientConnInterface) Config {
	t.Helper()
	return Config{
		Name: "edge-1", DataDir: dir, Coordinator: coordinator, Nodes: &tls.Config{MinVersion: tls.VersionTLS13}, Facts: &runwayv1.IngressFacts{Region: "local"},
		HTTPS: []string{"127.0.0.1:0"}, DrainTimeout: DefaultDrainTimeout,
		Listen:   func(string, string) (net.Listener, error) { return bufconn.Listen(1), nil },
		Registry: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// follow runs everything of an ingress but the proxy, and returns what ends it.
func follow(t *testing.T, cfg Config) (*Ingress, func()) {
	t.Helper()
	i, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{i.certs.Run, i.book.run, i.session.run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	return i, func() {
		cancel()
		wg.Wait()
		if err := i.sockets.close(); err != nil {
			t.Error(err)
		}
	}
}
