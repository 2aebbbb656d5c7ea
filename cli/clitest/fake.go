// Package clitest is a coordinator's API with prepared answers, for tests of the
// command line. It holds no rules of its own.
package clitest

import (
	"context"
	"errors"
	"net"
	"path"
	"sync"
	"testing"

	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
)

// Fake answers each call with the field of its kind. Set the fields before Start.
type Fake struct {
	runwayv1.UnimplementedClusterAPIServer
	runwayv1.UnimplementedSpacesServer
	runwayv1.UnimplementedServicesServer
	runwayv1.UnimplementedDeploymentsServer
	runwayv1.UnimplementedNodesServer
	runwayv1.UnimplementedEventsServer
	runwayv1.UnimplementedTokensServer

	Cluster     *runwayv1.InfoResponse
	AllSpaces   []*runwayv1.Space
	AllServices []*runwayv1.ServiceView
	Traffic     []*runwayv1.Traffic
	Replicas    []*runwayv1.ReplicaView
	Revisions   *runwayv1.ListRevisionsResponse
	History     []*runwayv1.Deployment
	AllNodes    []*runwayv1.NodeView
	Ingresses   []*runwayv1.IngressView
	AllTokens   []*runwayv1.Token
	AllEvents   []*runwayv1.Event
	Lines       []*runwayv1.LogsResponse
	Reason      *runwayv1.WhyResponse
	Deployed    *runwayv1.DeployResponse
	Scaled      *runwayv1.ScaleResponse
	Joined      *runwayv1.CreateJoinTokenResponse
	Created     *runwayv1.CreateTokenResponse
	// Watches are the messages of each stream in turn. One whose last message is no
	// end of the deployment breaks as if the coordinator had gone.
	Watches [][]*runwayv1.WatchDeploymentResponse
	// Hold keeps the last watch open instead, and Held is closed when it waits.
	Hold bool
	Held chan struct{}
	// Broken is how many follows of logs and events break off, and the next one ends.
	Broken int
	// Refuse is what a method fails with, by its name. The number of refusals is
	// bounded by Refusals when that is set.
	Refuse   map[string]error
	Refusals map[string]int

	mu       sync.Mutex
	requests map[string][]proto.Message
	streams  int
	follows  int
}

// Start serves the fake in memory until the test ends and returns a connection.
func (f *Fake) Start(t testing.TB) *grpc.ClientConn {
	t.Helper()
	const buffer = 1 << 20
	listener := bufconn.Listen(buffer)
	server := grpc.NewServer(grpc.WaitForHandlers(true), grpc.UnaryInterceptor(f.unary), grpc.StreamInterceptor(f.stream))
	f.register(server)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///fake",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatalf("dial fake: %v", err)
	}
	t.Cleanup(func() {
		server.Stop()
		// A test may be over before Serve began.
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("serve fake: %v", err)
		}
	})
	return conn
}

func (f *Fake) register(server *grpc.Server) {
	runwayv1.RegisterClusterAPIServer(server, f)
	runwayv1.RegisterSpacesServer(server, f)
	runwayv1.RegisterServicesServer(server, f)
	runwayv1.RegisterDeploymentsServer(server, f)
	runwayv1.RegisterNodesServer(server, f)
	runwayv1.RegisterEventsServer(server, f)
	runwayv1.RegisterTokensServer(server, f)
}

// Requests returns what a method was called with.
func (f *Fake) Requests(method string) []proto.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests[method]
}

func (f *Fake) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	method := path.Base(info.FullMethod)
	f.record(method, request)
	if err := f.refusal(method); err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

func (f *Fake) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := f.refusal(path.Base(info.FullMethod)); err != nil {
		return err
	}
	return handler(server, stream)
}

func (f *Fake) record(method string, request any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.requests == nil {
		f.requests = map[string][]proto.Message{}
	}
	if message, ok := request.(proto.Message); ok {
		f.requests[method] = append(f.requests[method], message)
	}
}

func (f *Fake) refusal(method string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	left, bounded := f.Refusals[method]
	if bounded && left == 0 {
		return nil
	}
	if bounded {
		f.Refusals[method]--
	}
	return f.Refuse[method]
}

// Refusal is a status with a cause, as the coordinator answers.
func Refusal(c codes.Code, cause *runwayv1.Cause) error {
	refusal, err := status.New(c, cause.GetSummary()).WithDetails(cause)
	if err != nil {
		return err
	}
	return refusal.Err()
}

func notFound(c code.Code, name string) error {
	return Refusal(codes.NotFound, &runwayv1.Cause{Code: string(c), Summary: "there is no " + name, Fix: c.Fix()})
}
