// Package verify keeps an ingress with old routes from sending a request to a foreign
// replica. While the coordinator certainly keeps the node ports of the ingress, its
// routes are true and nothing is asked. Otherwise a new connection is used only after the node
// itself has said, later than the connection was made, that its node port leads to
// the replica of the route. A node that does not say keeps its traffic: an agent that
// is dead starts no other replica on a port, and services outlive the coordinator.
package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runway-platform/runway/ingress/route"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// ErrWrong means that a node port leads to another replica than the route says. The
// connection was closed and nothing was sent over it.
var ErrWrong = errors.New("node port leads to another replica")

// Verdict is what came of a check.
type Verdict int

// Verdicts.
const (
	// Unknown: the node did not say; the route stays in use.
	Unknown Verdict = iota
	// Right: the port leads to the replica of the route.
	Right
	// Wrong: it leads to another one, or to none.
	Wrong
	verdicts
)

// Verdicts are all that there are, in the words of the metric.
var Verdicts = [verdicts]string{Unknown: "unknown", Right: "right", Wrong: "wrong"}

// Config is what a Verifier needs.
type Config struct {
	Standing *Standing
	// Routes returns the set in use, which says where nodes are asked. It is shared
	// and never changed.
	Routes func() *runwayv1.RouteSet
	Asker  Asker
	Log    *slog.Logger
}

// Verifier decides about connections to replicas. Safe for concurrent use. Close ends it.
type Verifier struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context // of the questions that nobody waits for
	cancel context.CancelFunc
	checks [verdicts]atomic.Uint64

	mu      sync.Mutex
	set     *runwayv1.RouteSet // that nodes were made from
	nodes   map[netip.Addr]*node
	closed  bool
	running sync.WaitGroup
}

// New returns a verifier that has asked nobody.
func New(cfg Config) *Verifier {
	ctx, cancel := context.WithCancel(context.Background())
	return &Verifier{cfg: cfg, log: cfg.Log.With("component", "verify"), ctx: ctx, cancel: cancel}
}

// Close breaks off questions that are under way and waits for them.
func (v *Verifier) Close() {
	v.cancel()
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.running.Wait()
	v.cfg.Asker.Close()
}

// Checks returns how often a check had this result.
func (v *Verifier) Checks(result Verdict) uint64 { return v.checks[result].Load() }

// Admit decides about a connection that was just made to the node port of a replica,
// before anything is sent. It returns the connection to use, or closes it and returns
// ErrWrong or the end of ctx.
//
// A replica holds its port from its start to its end and never again, so a proof that
// is younger than the connection is one for the connection: it never leads elsewhere.
func (v *Verifier) Admit(ctx context.Context, conn net.Conn, target *route.Target) (net.Conn, error) {
	verdict, err := v.check(ctx, target)
	switch {
	case err != nil:
	case verdict == Right:
		return conn, nil
	case verdict == Unknown:
		return newUnproven(conn, v, target), nil
	default:
		err = ErrWrong
	}
	return nil, errors.Join(fmt.Errorf("verify replica %q at %s: %w", target.Replica, target.Dial, err), conn.Close())
}

// check finds out whether the port of a target leads to it now.
func (v *Verifier) check(ctx context.Context, target *route.Target) (Verdict, error) {
	if v.cfg.Standing.Good(time.Now()) && target.Routed() {
		return Right, nil
	}
	verdict, err := v.ask(ctx, target)
	if err == nil {
		v.checks[verdict].Add(1)
	}
	return verdict, err
}

func (v *Verifier) ask(ctx context.Context, target *route.Target) (Verdict, error) {
	n := v.node(target.Address.Addr())
	if n == nil {
		return Unknown, nil
	}
	said, err := n.ask(ctx)
	if err != nil {
		return Unknown, err
	}
	holder, listed := said.replicas[uint32(target.Address.Port())]
	switch {
	case listed && holder == string(target.Replica):
		return Right, nil
	case !said.complete:
		return Unknown, nil
	}
	if n.warn(time.Now()) {
		v.log.Warn("node port leads to another replica than the route says", "address", target.Dial, "replica_id", target.Replica, "holder", holder)
	}
	return Wrong, nil
}

// node returns the node at an address, nil when none there can be asked.
func (v *Verifier) node(address netip.Addr) *node {
	set := v.cfg.Routes()
	v.mu.Lock()
	defer v.mu.Unlock()
	if set != v.set {
		v.set, v.nodes = set, v.nodesOf(set)
	}
	return v.nodes[address]
}

// nodesOf returns the nodes of a set by the address of their ports, which several
// may share. What is known of those that stay is kept.
func (v *Verifier) nodesOf(set *runwayv1.RouteSet) map[netip.Addr]*node {
	agents := map[netip.Addr][]string{}
	for _, network := range set.GetNetworks() {
		at, err := netip.ParseAddr(network.GetNodeAddress())
		if err != nil || network.GetIdentityAddress() == "" {
			continue // odd, or older than this question
		}
		agents[at] = append(agents[at], network.GetIdentityAddress())
	}
	nodes := make(map[netip.Addr]*node, len(agents))
	for at, addresses := range agents {
		slices.Sort(addresses)
		if known := v.nodes[at]; known != nil && slices.Equal(known.agents, addresses) {
			nodes[at] = known
			continue
		}
		nodes[at] = newNode(v, addresses)
	}
	return nodes
}

// background runs a question that nobody waits for, unless the verifier is closed.
func (v *Verifier) background(question func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.closed {
		v.running.Go(question)
	}
}
