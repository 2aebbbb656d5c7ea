// Package port serves gRPC and Raft on one TCP port. The TLS handshake is done
// here, and ALPN decides who gets the connection: neither side sees a byte before
// the peer has proven who it is. It knows nothing about either protocol.
package port

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Protocol names in ALPN.
const (
	GRPC = "h2"
	Raft = "runway-raft"
)

const (
	// A peer that does not finish its handshake by then is cut off.
	handshakeDeadline = 5 * time.Second
	// acceptPause is how long no connection is accepted after the system refused
	// one, for example for want of file descriptors.
	acceptPause = 100 * time.Millisecond
	// Connections that wait for their server to accept them.
	acceptQueue = 64
)

// Port accepts connections and hands each to the listener of its protocol.
type Port struct {
	tcp    net.Listener
	config *tls.Config
	log    *slog.Logger
	grpc   *listener
	raft   *listener
	peers  *peers
}

// Listen opens the address. The protocols of config are set here; its
// certificates and client verification are the caller's.
func Listen(address string, config *tls.Config, log *slog.Logger) (*Port, error) {
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	config = config.Clone()
	config.NextProtos = []string{GRPC, Raft}
	return &Port{
		tcp:    tcp,
		config: config,
		log:    log.With("component", "port"),
		grpc:   newListener(tcp.Addr()),
		raft:   newListener(tcp.Addr()),
		peers:  newPeers(),
	}, nil
}

// GRPC returns the listener of connections that speak HTTP/2.
func (p *Port) GRPC() net.Listener { return p.grpc }

// Raft returns the listener of connections that speak Raft.
func (p *Port) Raft() net.Listener { return p.raft }

// Addr is the address that is listened on.
func (p *Port) Addr() net.Addr { return p.tcp.Addr() }

// Run accepts until ctx ends, then closes everything that nobody took.
func (p *Port) Run(ctx context.Context) error {
	var handshakes sync.WaitGroup
	defer handshakes.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, p.Close)
	defer stop()

	for {
		conn, err := p.tcp.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			p.log.Warn("connection not accepted, pausing", "err", err)
			pause(ctx)
			continue
		}
		if counted, done, ok := p.admit(conn); ok {
			handshakes.Go(func() {
				defer done()
				p.handshake(ctx, tls.Server(counted, p.config))
			})
		}
	}
}

// admit gives a connection its place, and closes one for which there is none.
func (p *Port) admit(conn net.Conn) (place *counted, done func(), ok bool) {
	if place, ok = p.peers.enter(conn); !ok {
		p.log.Debug("connection refused, there are too many", "peer", conn.RemoteAddr())
		conn.Close()
		return nil, nil, false
	}
	if done, ok = p.peers.shake(place); !ok {
		p.log.Debug("handshake refused, its address has too many", "peer", conn.RemoteAddr())
		place.Close()
		return nil, nil, false
	}
	return place, done, true
}

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(acceptPause):
	}
}

// Close stops listening; accepted connections live on.
func (p *Port) Close() {
	p.tcp.Close()
	p.grpc.Close()
	p.raft.Close()
}

func (p *Port) handshake(ctx context.Context, conn *tls.Conn) {
	deadline, cancel := context.WithTimeout(ctx, handshakeDeadline)
	defer cancel()
	if err := conn.HandshakeContext(deadline); err != nil {
		p.log.Debug("handshake refused", "peer", conn.RemoteAddr(), "err", err)
		conn.Close()
		return
	}
	target := p.grpc
	if conn.ConnectionState().NegotiatedProtocol == Raft {
		target = p.raft
	}
	if !target.put(deadline, conn) {
		conn.Close()
	}
}

// listener is a net.Listener fed by a Port.
type listener struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newListener(addr net.Addr) *listener {
	return &listener{addr: addr, conns: make(chan net.Conn, acceptQueue), closed: make(chan struct{})}
}

func (l *listener) put(ctx context.Context, conn net.Conn) bool {
	select {
	case l.conns <- conn:
		return true
	case <-l.closed:
	case <-ctx.Done():
	}
	return false
}

// net.Listener

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }
