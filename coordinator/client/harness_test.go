package client_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/identity"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a set of fake coordinators by address.
type network map[string]*coordinator

func (n network) dial(ctx context.Context, address string) (net.Conn, error) {
	c := n[address]
	if c == nil {
		return nil, fmt.Errorf("no route to %s", address)
	}
	c.dialled.Add(1)
	return c.listener.DialContext(ctx)
}

// coordinator answers a few calls as its fields say.
type coordinator struct {
	runwayv1.UnimplementedClusterAPIServer
	runwayv1.UnimplementedDeploymentsServer
	runwayv1.UnimplementedAgentSessionServer
	runwayv1.UnimplementedIdentityServer

	listener  *bufconn.Listener
	authority *identity.Authority
	address   string
	// refusal is returned by every call when not nil.
	refusal func() error
	calls   atomic.Int32
	dialled atomic.Int32
	// bearer is what the last call carried.
	bearer atomic.Value
	// role of the machines that enrol here; unspecified means node.
	role  runwayv1.Role
	renew func([]byte) ([]byte, error)
}

// start serves a coordinator whose certificate is made by authority.
func start(t *testing.T, authority *identity.Authority, address string) *coordinator {
	t.Helper()
	certificate, err := authority.IssueCoordinator(address[:1], []string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return startWith(t, authority, address, certificate)
}

func startWith(t *testing.T, authority *identity.Authority, address string, certificate tls.Certificate) *coordinator {
	t.Helper()
	c := &coordinator{listener: bufconn.Listen(1 << 16), authority: authority, address: address}
	config := identity.ServerTLS(func() *tls.Certificate { return &certificate }, authority.Certificate())
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)), grpc.WaitForHandlers(true))
	runwayv1.RegisterClusterAPIServer(server, c)
	runwayv1.RegisterDeploymentsServer(server, c)
	runwayv1.RegisterAgentSessionServer(server, c)
	runwayv1.RegisterIdentityServer(server, c)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(c.listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("serve %s: %v", address, err)
		}
	})
	return c
}

func (c *coordinator) answer(ctx context.Context) error {
	c.calls.Add(1)
	incoming, _ := metadata.FromIncomingContext(ctx)
	if values := incoming.Get("authorization"); len(values) == 1 {
		c.bearer.Store(values[0])
	}
	if c.refusal != nil {
		return c.refusal()
	}
	return nil
}

func (c *coordinator) Info(ctx context.Context, _ *runwayv1.InfoRequest) (*runwayv1.InfoResponse, error) {
	if err := c.answer(ctx); err != nil {
		return nil, err
	}
	return &runwayv1.InfoResponse{Leader: c.address}, nil
}

func (c *coordinator) WatchDeployment(request *runwayv1.WatchDeploymentRequest, stream grpc.ServerStreamingServer[runwayv1.WatchDeploymentResponse]) error {
	if err := c.answer(stream.Context()); err != nil {
		return err
	}
	for index := range uint64(3) {
		err := stream.Send(&runwayv1.WatchDeploymentResponse{
			Deployment: &runwayv1.Deployment{Id: request.GetId()}, Index: index,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *coordinator) Connect(stream grpc.BidiStreamingServer[runwayv1.AgentMessage, runwayv1.CoordinatorMessage]) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	if err := c.answer(stream.Context()); err != nil {
		return err
	}
	return stream.Send(&runwayv1.CoordinatorMessage{Message: &runwayv1.CoordinatorMessage_Welcome{
		Welcome: &runwayv1.AgentWelcome{Node: c.address},
	}})
}

func (c *coordinator) Enrol(ctx context.Context, request *runwayv1.EnrolRequest) (*runwayv1.EnrolResponse, error) {
	if err := c.answer(ctx); err != nil {
		return nil, err
	}
	name := nodeName(c.authority)
	name.Role = cmp.Or(c.role, name.Role)
	chain, err := c.authority.SignMachine(request.GetCsr(), name, "", time.Now())
	return &runwayv1.EnrolResponse{Id: "n1", Chain: chain, Ca: c.authority.CertificatePEM()}, err
}

func (c *coordinator) Renew(_ context.Context, request *runwayv1.RenewRequest) (*runwayv1.RenewResponse, error) {
	chain, err := c.renew(request.GetCsr())
	return &runwayv1.RenewResponse{Chain: chain}, err
}

func nodeName(authority *identity.Authority) identity.Name {
	return identity.Name{Cluster: authority.Cluster(), Role: runwayv1.Role_ROLE_NODE, ID: "n1"}
}

func newAuthority(t *testing.T) *identity.Authority {
	t.Helper()
	authority, err := identity.NewAuthority("c1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// dial connects to addresses of the network with a token.
func (n network) client(t *testing.T, authority *identity.Authority, addresses ...string) *client.Conn {
	t.Helper()
	conn, err := client.Dial(client.Config{
		Addresses: addresses, CA: authority.CertificatePEM(), Token: "rwt_secret", Dialer: n.dial,
		Patience: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return conn
}

func notLeader(leader string) func() error {
	return func() error {
		detailed, err := status.New(codes.FailedPrecondition, "not the leader").WithDetails(&runwayv1.NotLeader{Leader: leader})
		if err != nil {
			return err
		}
		return detailed.Err()
	}
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}
