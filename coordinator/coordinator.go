// Package coordinator holds a cluster's desired state and decides: it is the
// composition of the log, the state, the sessions, the API and the leader's loops,
// and wires them to one port. What each part does is in the packages below.
package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/runway-platform/runway/coordinator/api"
	"github.com/runway-platform/runway/coordinator/consensus"
	"github.com/runway-platform/runway/coordinator/dispatch"
	"github.com/runway-platform/runway/coordinator/endpoint"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/coordinator/image"
	"github.com/runway-platform/runway/coordinator/planted"
	"github.com/runway-platform/runway/coordinator/port"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// stopDeadline bounds the orderly end: hand over, finish calls, close files.
const stopDeadline = 5 * time.Second

// Coordinator is one member of the cluster's brain.
type Coordinator struct {
	config       Config
	log          *slog.Logger
	name         identity.Name
	keys         *keys
	authorityPEM []byte
	opened       atomic.Pointer[identity.Authority]
	expiries     *identity.Metrics
	outcomes     *outcomes

	store     *state.Store
	presence  *presence.Presence
	port      *port.Port
	node      *consensus.Node
	endpoints *endpoint.Controller
	dispatch  *dispatch.Dispatcher
	server    *grpc.Server
	// running ends when calls are to end; stop ends it.
	running context.Context
	stop    context.CancelFunc
	// term is the context of the leadership; nil while this coordinator follows.
	term atomic.Pointer[context.Context]
	// caughtUp tells that this leader has applied every entry of its predecessors.
	caughtUp atomic.Bool
}

// New opens what is on disk, or makes a new cluster when the configuration says so,
// and listens. Nothing is decided or answered before Run.
func New(config Config) (*Coordinator, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.Bootstrap {
		if err := config.found(time.Now()); err != nil {
			return nil, fmt.Errorf("found a cluster: %w", err)
		}
	}
	c := &Coordinator{config: config, log: config.Log, store: state.New(), presence: presence.New()}
	c.running, c.stop = context.WithCancel(context.Background())
	if err := c.open(); err != nil {
		return nil, err
	}
	return c, nil
}

// open starts the parts in the order in which they need each other.
func (c *Coordinator) open() error {
	var err error
	if c.keys, err = loadKeys(c.config); err != nil {
		return err
	}
	if c.authorityPEM, err = os.ReadFile(c.config.authorityFile()); err != nil {
		return fmt.Errorf("read certificate of the authority: %w", err)
	}
	if c.name, err = identity.NameOf(c.keys.own.Load().Leaf); err != nil {
		return fmt.Errorf("read own name: %w", err)
	}
	if c.port, err = port.Listen(c.config.Listen, c.keys.serverTLS(), c.log); err != nil {
		return err
	}
	if c.node, err = consensus.New(c.consensus()); err != nil {
		c.port.Close()
		return err
	}
	return c.compose()
}

// compose makes what answers calls and what runs while leading.
func (c *Coordinator) compose() error {
	var err error
	if c.expiries, err = identity.NewMetrics(c.config.Registerer); err != nil {
		return err
	}
	c.keys.observe(c.expiries)
	c.outcomes = newOutcomes(planted.In(c.node, c.store.View))
	if err := errors.Join(c.config.Registerer.Register(newContents(c.store.View)), c.config.Registerer.Register(c.outcomes.ended)); err != nil {
		return fmt.Errorf("register metrics of the state: %w", err)
	}
	c.endpoints = endpoint.New(endpoint.Config{
		Views: c.store.View, Applier: planted.In(c.node, c.store.View), Acks: c.presence.Acks, Acked: c.presence.Changed, Log: c.log,
	})
	if err := c.config.Registerer.Register(endpoint.NewMetrics(c.endpoints)); err != nil {
		return fmt.Errorf("register metrics of routes: %w", err)
	}
	sessions, err := dispatch.NewMetrics(c.config.Registerer)
	if err != nil {
		return fmt.Errorf("register metrics of sessions: %w", err)
	}
	c.dispatch = dispatch.New(dispatch.Config{
		Views: c.store.View, Applier: c.node, Routes: c.endpoints, Presence: c.presence,
		Authority: c.authority, Leader: c.leader, Metrics: sessions, Log: c.log,
	})
	answers, err := c.api()
	if err != nil {
		return err
	}
	c.server = grpc.NewServer(append(answers.ServerOptions(), grpc.Creds(port.Credentials()))...)
	c.dispatch.Register(c.server)
	answers.Register(c.server)
	return nil
}

func (c *Coordinator) api() (*api.API, error) {
	calls, err := api.NewMetrics(c.config.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics of calls: %w", err)
	}
	return api.New(api.Config{
		Views:     c.store.View,
		Applier:   c.node,
		Images:    image.New(image.Config{PlainHTTP: c.config.PlainHTTPRegistries}),
		Logs:      c.dispatch,
		Sessions:  c.dispatch,
		Routes:    c.endpoints,
		LastBeat:  c.presence.LastBeat,
		Forget:    c.presence.Forget,
		Recent:    c.presence.Recent,
		Authority: c.authority,
		Leader:    c.leads,
		Lifetime:  c.lifetime,
		Age:       c.node.Age,
		Members:   c.members,
		Version:   c.config.Version,
		Metrics:   calls,
		Log:       c.log,
	})
}

// members returns the coordinators as the API shows them.
func (c *Coordinator) members() ([]*runwayv1.Member, error) {
	known, err := c.node.Members()
	if err != nil {
		return nil, err
	}
	members := make([]*runwayv1.Member, 0, len(known))
	for _, m := range known {
		members = append(members, &runwayv1.Member{Id: m.ID, Address: m.Address, Voter: m.Voter, Leader: m.Leader})
	}
	return members, nil
}

func (c *Coordinator) consensus() consensus.Config {
	return consensus.Config{
		ID:        c.name.ID,
		Address:   c.config.advertised(),
		Store:     c.store,
		DataDir:   c.config.raftDir(),
		Bootstrap: c.config.Bootstrap,
		Streams: consensus.Streams{
			Listener:   c.port.Raft(),
			ClientTLS:  c.keys.raftTLS(),
			VerifyPeer: verifyCoordinator(c.name.Cluster),
		},
		Logger:     c.log,
		Registerer: c.config.Registerer,
	}
}

// Addr is the address that the one port listens on.
func (c *Coordinator) Addr() net.Addr { return c.port.Addr() }

// Run serves until ctx ends or the member can no longer take part; the error of the
// latter names what broke.
func (c *Coordinator) Run(ctx context.Context) error {
	defer c.stop()
	handedOver := context.AfterFunc(ctx, c.handOver)
	defer handedOver()
	group, working := errgroup.WithContext(c.running)
	defer context.AfterFunc(working, c.stop)() // streams end with the first part that fails, too
	group.Go(func() error { return c.port.Run(working) })
	group.Go(func() error { return c.leadership(working) })
	group.Go(func() error { return c.renewOwn(working) })
	group.Go(func() error { return c.serve(working) })
	group.Go(func() error {
		select {
		case err := <-c.node.Failed():
			return err
		case <-working.Done():
			return nil
		}
	})
	err := group.Wait()
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopDeadline)
	defer cancel()
	return errors.Join(err, c.node.Shutdown(deadline))
}

// handOver is the first step of a planned stop: another coordinator leads before the
// loops and streams of this one end, so that there is where to go on.
func (c *Coordinator) handOver() {
	deadline, cancel := context.WithTimeout(context.Background(), stopDeadline)
	defer cancel()
	c.node.HandOver(deadline)
	c.stop()
}

// lifetime is how long what only a leader answers may go on, and what anybody does.
func (c *Coordinator) lifetime() (leading, serving context.Context) {
	if term := c.term.Load(); term != nil {
		return *term, c.running
	}
	return nil, c.running
}

// serve answers calls until ctx ends. Streams end with it, and calls under way have a
// bounded time to come to theirs.
func (c *Coordinator) serve(ctx context.Context) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		timer := time.AfterFunc(stopDeadline, c.server.Stop)
		defer timer.Stop()
		c.server.GracefulStop()
	})
	defer stop()
	err := c.server.Serve(c.port.GRPC())
	if ctx.Err() != nil {
		<-stopped
		return nil
	}
	return fmt.Errorf("serve the API: %w", err)
}

// leads returns the address of the leader and whether this coordinator is it. One that
// was just elected does not count before it has caught up: it would answer from a
// state that is behind, after a start from an empty one.
func (c *Coordinator) leads() (string, bool) {
	address, leads := c.node.Leader()
	if leads && !c.caughtUp.Load() {
		return "", false
	}
	return address, leads
}

// leader returns the address of the leader, empty while there is none.
func (c *Coordinator) leader() string {
	address, _ := c.node.Leader()
	return address
}
