package ingress

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

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

	mu     sync.Mutex
	ack    *runwayv1.RouteAck
	counts []*runwayv1.WorkloadStats
}

// takeOver ends what a predecessor decides, and returns the way to it; nil when there
// is none any more.
func (i *Ingress) takeOver() (net.Conn, error) {
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
		i.predecessor = &predecessor{ingress: i, settled: make(chan struct{})}
	}
	return conn, nil
}

// handOn tells the predecessor, if there is one, that this process serves, and then is
// there for successors itself.
func (i *Ingress) handOn(ctx context.Context, serving <-chan struct{}, conn net.Conn) error {
	select {
	case <-serving:
	case <-ctx.Done():
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group.Go(func() {
		defer cancel()            // the successor has successors
		_ = i.awaitSuccessor(ctx) // it returns nil
	})
	if err := i.cfg.Sockets.Offer(ctx, i.claims); err != nil {
		i.log.Error("no successor can take over the sockets of this process", "err", err)
	}
	return nil
}

// release serves the predecessor until it has ended or ctx ends.
func (p *predecessor) release(ctx context.Context, conn net.Conn) {
	server := grpc.NewServer()
	runwayv1.RegisterIngressSessionServer(server, p)
	only := &onlyListener{conn: make(chan net.Conn, 1), ended: make(chan struct{})}
	only.conn <- &notedConn{Conn: conn, closed: sync.OnceFunc(only.end)}
	defer context.AfterFunc(ctx, only.end)()
	if err := server.Serve(only); !errors.Is(err, net.ErrClosed) {
		p.ingress.log.Warn("the predecessor is not served", "err", err)
	}
	server.Stop()
	p.gone.Store(true)
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

// joinTo makes a confirmation true of both processes.
func (p *predecessor) joinTo(ack *runwayv1.RouteAck) {
	if p == nil || p.gone.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ack.GetIncarnation() != ack.GetIncarnation() {
		ack.Generation = 0 // nothing is known of it
	}
	ack.Generation = min(ack.GetGeneration(), p.ack.GetGeneration())
	ack.Saved = min(ack.GetSaved(), ack.GetGeneration())
	ack.Held = append(ack.Held, p.ack.GetHeld()...)
	slices.Sort(ack.Held)
	ack.Held = slices.Compact(ack.GetHeld())
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
