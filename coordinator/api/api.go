// Package api is what operators, service teams, CI and machines call. It says who
// calls and whether they may, checks what they ask, and either reads the state or
// writes a command. It decides nothing about replicas.
package api

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/dispatch"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// maxReceive bounds one message of a caller. The largest are full reports of an
	// agent with thousands of replicas.
	maxReceive = 16 << 20
	// maxStreams bounds what one connection may ask at once.
	maxStreams = 1000
	// connectionLife makes clients come back over a new connection, with a renewed
	// certificate; open streams stay on the old one.
	connectionLife = 12 * time.Hour
	// idleLife ends connections on which nothing is asked: who proves nothing may not
	// keep a place for ever.
	idleLife = 5 * time.Minute
	// A dead peer that sends no reset is noticed within the sum of these two.
	pingAfter, pingTimeout = 10 * time.Second, 3 * time.Second
	// pingLimit is how often clients may ping: twice as often as ours do.
	pingLimit = 5 * time.Second
)

// applier writes a command to the replicated log and returns when it is applied.
type applier interface {
	Apply(ctx context.Context, payload proto.Message) (command.Result, error)
}

// resolver finds the digest of an image; its errors are those of package image.
type resolver interface {
	Resolve(ctx context.Context, reference string) (string, error)
}

// logSource opens the log of a replica; its errors are those of package dispatch.
type logSource interface {
	Logs(ctx context.Context, replica string, options *runwayv1.LogOptions) (*dispatch.LogStream, error)
}

// sessions is what can be asked of an ingress; its errors are those of package dispatch.
type sessions interface {
	AcceptRoutes(ingress string, going uint32) error
}

// routes is how far the ingresses follow the present routes.
type routes interface {
	Generation() uint64
	Standing(ingress string) presence.Standing
}

// Config of the API. All fields but Metrics are required.
type Config struct {
	// Views returns the newest state.
	Views   func() *state.View
	Applier applier
	Images  resolver
	Logs    logSource
	// Sessions and Routes are of the ingresses.
	Sessions sessions
	Routes   routes
	// LastBeat returns when a machine was heard of last by this leader; Forget drops
	// what the leader remembers of one that was removed.
	LastBeat func(id string) time.Time
	Forget   func(id string)
	// Recent returns what this leader heard that the ingresses served of a workload lately.
	Recent func(id state.WorkloadID) presence.Traffic
	// Authority signs for machines; nil while it is not known.
	Authority func() *identity.Authority
	// Leader returns the address of the leader, empty when there is none, and
	// whether this coordinator is it and its state holds all that was ever confirmed.
	Leader func() (address string, leads bool)
	// Age is how long this coordinator has not heard of who leads; nil is never.
	Age func() time.Duration
	// Lifetime returns when what only a leader answers ends, nil while another one
	// leads, and when everything ends. A nil Lifetime is for ever.
	Lifetime func() (leading, serving context.Context)
	// Members returns the coordinators of the cluster.
	Members func() ([]*runwayv1.Member, error)
	// Version of this program, for people.
	Version string
	Metrics *Metrics
	Log     *slog.Logger
}

func (c Config) validate() error {
	if c.Views == nil || c.Applier == nil || c.Images == nil || c.Logs == nil || c.Sessions == nil || c.Routes == nil || c.LastBeat == nil || c.Forget == nil || c.Recent == nil ||
		c.Authority == nil || c.Leader == nil || c.Members == nil || c.Log == nil {
		return errors.New("check api configuration: a required part is missing")
	}
	return nil
}

// API answers calls. Safe for concurrent use.
type API struct {
	config  Config
	log     *slog.Logger
	metrics *Metrics
}

// New returns an API that answers once it is registered with a server.
func New(config Config) (*API, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	a := &API{config: config, log: config.Log.With("component", "api"), metrics: config.Metrics}
	if a.metrics == nil {
		a.metrics = newMetrics()
	}
	return a, nil
}

// ServerOptions are what a server needs for this API: the interceptors that every
// call goes through, and bounds. Credentials are the caller's to add.
func (a *API) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(a.unary),
		grpc.ChainStreamInterceptor(a.stream),
		grpc.MaxRecvMsgSize(maxReceive),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: connectionLife, MaxConnectionIdle: idleLife, Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingLimit, PermitWithoutStream: true}),
	}
}

// Register adds every service of this package, health and reflection to a server.
// Session services are registered by package dispatch.
func (a *API) Register(server *grpc.Server) {
	runwayv1.RegisterIdentityServer(server, identityService{API: a})
	runwayv1.RegisterClusterAPIServer(server, clusterService{API: a})
	runwayv1.RegisterSpacesServer(server, spaceService{API: a})
	runwayv1.RegisterServicesServer(server, serviceService{API: a})
	runwayv1.RegisterDeploymentsServer(server, deploymentService{API: a})
	runwayv1.RegisterNodesServer(server, nodeService{API: a})
	runwayv1.RegisterEventsServer(server, eventService{API: a})
	runwayv1.RegisterTokensServer(server, tokenService{API: a})
	healthv1.RegisterHealthServer(server, healthService{API: a, services: server.GetServiceInfo})
	reflection.Register(server)
}

func (a *API) view() *state.View { return a.config.Views() }

// apply writes a command and returns the object that it made.
func apply[T proto.Message](ctx context.Context, a *API, payload proto.Message) (T, error) {
	result, err := a.config.Applier.Apply(ctx, payload)
	if err != nil {
		var none T
		return none, err
	}
	value, ok := result.Value.(T)
	if !ok {
		return value, errUnexpected
	}
	return value, nil
}
