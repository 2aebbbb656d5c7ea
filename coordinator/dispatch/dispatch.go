// Package dispatch keeps the sessions of agents and ingresses: it registers them,
// sends each what is meant for it and nothing else, and carries what they report
// into the log. Sessions exist only at the leader. What should run or be routed is
// decided elsewhere; dispatch only compares with what it has sent.
package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// applier writes a command to the replicated log and returns when it is applied.
type applier interface {
	Apply(ctx context.Context, payload proto.Message) (command.Result, error)
}

// routes is where route sets come from: the full set to serve now, nil before the
// first, and a channel that is closed when there is a newer one.
type routes interface {
	Current() (*runwayv1.RouteSet, <-chan struct{})
}

// Config of a Dispatcher. All fields but Metrics are required.
type Config struct {
	// Views returns the newest state.
	Views    func() *state.View
	Applier  applier
	Routes   routes
	Presence *presence.Presence
	// Authority signs for ingresses; nil while it is not known.
	Authority func() *identity.Authority
	// Leader returns the address of the leader, empty when there is none.
	Leader  func() string
	Metrics *Metrics
	Log     *slog.Logger
}

// Dispatcher holds the sessions of the leader. Safe for concurrent use.
type Dispatcher struct {
	config  Config
	log     *slog.Logger
	metrics *Metrics
	reports *reports
	logs    *logs
	// running counts the loops of sessions.
	running sync.WaitGroup

	mu sync.Mutex
	// lead is the context of the leadership; nil while this coordinator follows.
	lead      context.Context
	agents    map[string]*agentSession
	ingresses map[string]*ingressSession
}

// New returns a dispatcher that refuses every session until Run.
func New(config Config) *Dispatcher {
	d := &Dispatcher{
		config:    config,
		log:       config.Log.With("component", "dispatch"),
		metrics:   config.Metrics,
		logs:      newLogs(),
		agents:    map[string]*agentSession{},
		ingresses: map[string]*ingressSession{},
	}
	if d.metrics == nil {
		d.metrics = newMetrics()
	}
	count := d.unconfirmed
	d.metrics.count.Store(&count)
	d.reports = newReports(config.Applier, d.log, d.metrics)
	return d
}

// Register adds the session services to a server.
func (d *Dispatcher) Register(server grpc.ServiceRegistrar) {
	runwayv1.RegisterAgentSessionServer(server, agentService{d: d})
	runwayv1.RegisterIngressSessionServer(server, ingressService{d: d})
}

// Run accepts sessions while this coordinator leads: until ctx ends. It returns
// when every session has ended.
func (d *Dispatcher) Run(ctx context.Context) error {
	lead, resign := context.WithCancel(ctx)
	defer resign()
	d.setLead(lead)
	err := d.reports.run(lead)
	d.setLead(nil)
	resign()
	d.running.Wait()
	return err
}

// Connected says whether an agent or ingress has a session here.
func (d *Dispatcher) Connected(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.agents[id] != nil || d.ingresses[id] != nil
}

func (d *Dispatcher) setLead(lead context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lead = lead
}

// leadership returns the context of the leadership, or who leads instead.
func (d *Dispatcher) leadership() (context.Context, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lead == nil || d.lead.Err() != nil {
		return nil, client.NotLeader(d.config.Leader())
	}
	return d.lead, nil
}

// begin makes the context of a session and counts its loops, unless the leadership
// is over. The session ends with the leadership and with the machine's certificate.
func (d *Dispatcher) begin(stream context.Context, id string, expires time.Time) (*session, error) {
	lead, err := d.leadership()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(stream)
	s := &session{id: id, ctx: ctx, end: cancel}
	s.release = context.AfterFunc(lead, func() { cancel(client.NotLeader(d.config.Leader())) })
	if !expires.IsZero() {
		s.expiry = time.AfterFunc(time.Until(expires), func() { cancel(errExpired) })
	}
	return s, nil
}
