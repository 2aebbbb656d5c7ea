package ingress

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/ingress/handover"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// predecessor is the process that this one takes over from. It is served like an
// ingress by a coordinator: it gets every set, and says what it has in use and which
// replicas it still uses.
type predecessor struct {
	runwayv1.UnimplementedIngressSessionServer
	ingress *Ingress
	// settled is closed when it has confirmed that this process serves, or is gone.
	settled chan struct{}
	once    sync.Once
	gone    atomic.Bool
	// ended is closed when it is gone.
	ended chan struct{}
	// kill ends it by force.
	kill func() error

	mu     sync.Mutex
	ack    *runwayv1.RouteAck
	counts []*runwayv1.WorkloadStats
	// told is whether it hears of the sets. awaited is what it has to confirm within
	// patience of since; nil before there was one.
	told    bool
	awaited *runwayv1.RouteAck
	since   time.Time
}

// patience is how long a predecessor may take to confirm a set. One that does not would
// hold up every deployment, and have the coordinator cut this process after 5 s; it is
// looked at with each beat.
const patience = 3 * time.Second

// takeOver ends what a predecessor decides, and returns the way to it; nil when there
// is none any more.
func (i *Ingress) takeOver() (*handover.Predecessor, error) {
	if i.cfg.Sockets == nil || !i.cfg.Sockets.Claimed() {
		return nil, nil
	}
	conn, err := i.cfg.Sockets.TakeOver()
	switch {
	case errors.Is(err, handover.ErrGone):
		i.log.Warn("the predecessor ended by itself", "err", err)
	case err != nil:
		return nil, err
	}
	i.session.fresh.set(i.book.load()) // what the predecessor served by last
	if conn != nil {
		i.predecessor = newPredecessor(i, conn.Kill)
		return conn, nil
	}
	return nil, nil
}

func newPredecessor(i *Ingress, kill func() error) *predecessor {
	return &predecessor{ingress: i, settled: make(chan struct{}), ended: make(chan struct{}), kill: kill}
}

// await returns when the predecessor has ended, at the latest after most: what it holds
// is told by this process.
func (p *predecessor) await(ctx context.Context, most time.Duration) {
	if p == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case <-p.ended:
	case <-ctx.Done():
	}
}

// handOn tells the predecessor, if there is one, that this process serves, and then is
// there for successors itself. Told nothing, it serves on.
func (i *Ingress) handOn(ctx context.Context, serving <-chan struct{}, conn *handover.Predecessor) error {
	select {
	case <-serving:
	case <-ctx.Done():
		if conn != nil {
			_ = conn.Close() // nothing was said over it
		}
		return nil
	}
	var group sync.WaitGroup
	defer group.Wait()
	if conn != nil {
		group.Go(func() { i.predecessor.release(ctx, conn) })
		select {
		case <-i.predecessor.settled:
		case <-ctx.Done():
		}
	}
	if i.cfg.Sockets == nil || ctx.Err() != nil {
		return nil
	}
	untilSucceeded, cancel := context.WithCancel(ctx)
	defer cancel()
	group.Go(func() {
		defer cancel() // the successor has successors
		_ = i.awaitSuccessor(untilSucceeded)
	})
	i.offer(untilSucceeded)
	select {
	case <-i.orphaned:
		i.offer(ctx)
	case <-ctx.Done():
	}
	return nil
}

// offer is there for successors until ctx ends.
func (i *Ingress) offer(ctx context.Context) {
	if err := i.cfg.Sockets.Offer(ctx, i.claims); err != nil {
		i.log.Error("no successor can take over the sockets of this process", "err", err)
	}
}

// release serves the predecessor until it has ended or ctx ends.
func (p *predecessor) release(ctx context.Context, conn net.Conn) {
	server := grpc.NewServer()
	runwayv1.RegisterIngressSessionServer(server, p)
	only := &onlyListener{conn: make(chan net.Conn, 1), ended: make(chan struct{})}
	only.conn <- &notedConn{Conn: conn, closed: sync.OnceFunc(only.end)}
	defer context.AfterFunc(ctx, only.end)()
	p.mu.Lock()
	p.told = true
	p.mu.Unlock()
	p.ingress.nudge() // its time for what is in use begins now
	if err := server.Serve(only); !errors.Is(err, net.ErrClosed) {
		p.ingress.log.Warn("the predecessor is not served", "err", err)
	}
	server.Stop()
	p.gone.Store(true)
	close(p.ended)
	p.settle()
	p.ingress.log.Info("the predecessor has ended")
	p.ingress.nudge()
}

func (p *predecessor) settle() { p.once.Do(func() { close(p.settled) }) }

// runwayv1.IngressSessionServer

// Connect passes the sets on and keeps what the predecessor says.
func (p *predecessor) Connect(stream runwayv1.IngressSession_ConnectServer) error {
	if _, err := stream.Recv(); err != nil { // its hello says nothing new
		return err
	}
	set, changed := p.ingress.book.watch()
	incarnation := set.GetIncarnation()
	if err := stream.Send(&runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Welcome{
		Welcome: &runwayv1.IngressWelcome{Incarnation: incarnation},
	}}); err != nil {
		return err
	}
	heard := make(chan error, 1)
	go func() { heard <- p.listen(stream) }()
	for set.GetIncarnation() == incarnation {
		if err := stream.Send(&runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Routes{Routes: passedOn(set)}}); err != nil {
			return err
		}
		select {
		case <-changed:
		case err := <-heard:
			return err
		}
		set, changed = p.ingress.book.watch()
	}
	return errOtherIncarnation // it asks again
}

// passedOn returns the set for a predecessor. It is forced: what goes with it was
// judged here, and the reasons are not part of the set in use.
func passedOn(set *runwayv1.RouteSet) *runwayv1.RouteSet {
	return &runwayv1.RouteSet{
		Incarnation: set.GetIncarnation(), Generation: set.GetGeneration(), Full: true, Force: true, Domain: set.GetDomain(),
		Routes: set.GetRoutes(), Ingresses: set.GetIngresses(), Networks: set.GetNetworks(),
	}
}

var errOtherIncarnation = errors.New("the routes are of another incarnation now")

func (p *predecessor) listen(stream runwayv1.IngressSession_ConnectServer) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		switch {
		case m.GetAck() != nil:
			p.mu.Lock()
			p.ack = m.GetAck()
			p.mu.Unlock()
			p.settle()
			p.ingress.nudge()
		case m.GetStats() != nil:
			p.mu.Lock()
			p.counts = append(p.counts, m.GetStats().GetWorkloads()...)
			p.mu.Unlock()
		}
	}
}

// joinTo makes a confirmation true of both processes. A predecessor that holds it up for
// too long is ended first: it must not route by what it had when it goes on.
func (p *predecessor) joinTo(ack *runwayv1.RouteAck) {
	if p == nil || p.gone.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.late(ack, time.Now()) {
		p.ingress.log.Warn("the predecessor does not confirm the routes and is killed", "generation", p.awaited.GetGeneration(), "for", patience)
		if err := p.kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			p.ingress.log.Error("the predecessor cannot be killed", "err", err)
		} else {
			p.gone.Store(true)
			return
		}
	}
	if p.ack.GetIncarnation() != ack.GetIncarnation() {
		ack.Generation = 0 // nothing is known of it
	}
	ack.Generation = min(ack.GetGeneration(), p.ack.GetGeneration())
	ack.Saved = min(ack.GetSaved(), ack.GetGeneration())
	ack.Held = append(ack.Held, p.ack.GetHeld()...)
	slices.Sort(ack.Held)
	ack.Held = slices.Compact(ack.GetHeld())
}

// late tells whether the predecessor has not confirmed in time what is in use here; mu
// is held. The wait for a set begins when that is first seen, and does not move when newer
// ones come.
func (p *predecessor) late(now *runwayv1.RouteAck, at time.Time) bool {
	if !p.told {
		return false
	}
	if p.awaited == nil {
		p.awaited, p.since = proto.CloneOf(now), at
		return false
	}
	same := p.awaited.GetIncarnation() == now.GetIncarnation()
	if p.ack.GetIncarnation() == p.awaited.GetIncarnation() && p.ack.GetGeneration() >= p.awaited.GetGeneration() || !same {
		p.awaited, p.since = proto.CloneOf(now), at
	}
	return at.Sub(p.since) > patience
}

// served returns what the predecessor answered since the last call.
func (p *predecessor) served() []*runwayv1.WorkloadStats {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := p.counts
	p.counts = nil
	return counts
}

// onlyListener accepts one connection and ends with it.
type onlyListener struct {
	conn  chan net.Conn
	ended chan struct{}
	once  sync.Once
}

func (l *onlyListener) end() { l.once.Do(func() { close(l.ended) }) }

// net.Listener

// Accept returns the connection, once.
func (l *onlyListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

// Close lets Accept return.
func (l *onlyListener) Close() error { l.end(); return nil }

// Addr has no meaning here.
func (l *onlyListener) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// notedConn tells of its end.
type notedConn struct {
	net.Conn
	closed func()
}

// Close closes the connection.
func (c *notedConn) Close() error { c.closed(); return c.Conn.Close() }
