package consensus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Protocol is the ALPN name of Raft between coordinators, which shares its port
// with the API.
const Protocol = "runway-raft"

const (
	// rpcTimeout bounds each message between members; a snapshot gets more with
	// its size.
	rpcTimeout = 5 * time.Second
	// handshakeTimeout bounds how long a stranger may hold a connection.
	handshakeTimeout = 5 * time.Second
	// connectionsPerMember: one for entries, one for heartbeats, one to spare.
	connectionsPerMember = 3
	// rpcsInFlight of 1 turns pipelining off, which can deadlock after a failed
	// write of the leader and leave a follower behind for ever.
	rpcsInFlight = 1
)

func newTransport(address string, streams Streams, log *slog.Logger) closingTransport {
	return streamTransport{raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:          &streamLayer{Streams: streams, address: memberAddress(address)},
		MaxPool:         connectionsPerMember,
		MaxRPCsInFlight: rpcsInFlight,
		Timeout:         rpcTimeout,
		Logger:          raftLogger(log),
	})}
}

// streamTransport ends with its connections.
type streamTransport struct{ *raft.NetworkTransport }

// Close implements raft.WithClose. Raft's own leaves the connections that it keeps for
// later open, and the other members waiting at them.
func (s streamTransport) Close() error {
	err := s.NetworkTransport.Close()
	s.CloseStreams()
	return err
}

// streamLayer lets nothing but verified TLS connections through.
type streamLayer struct {
	Streams
	address memberAddress
}

// Accept implements net.Listener. The connection is verified by whoever reads it
// first, so that a slow stranger holds up nobody else.
func (s *streamLayer) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &verifiedConn{Conn: conn, verify: s.VerifyPeer}, nil
}

// Close implements net.Listener.
func (s *streamLayer) Close() error { return s.Listener.Close() }

// Addr implements net.Listener: the address that the others know.
func (s *streamLayer) Addr() net.Addr { return s.address }

// Dial implements raft.StreamLayer.
func (s *streamLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := s.dial(ctx, string(address))
	if err != nil {
		return nil, fmt.Errorf("dial member %q: %w", address, err)
	}
	settings := s.ClientTLS.Clone()
	settings.NextProtos = []string{Protocol}
	secured := tls.Client(conn, settings)
	if err := verify(ctx, secured, s.VerifyPeer); err != nil {
		return nil, errors.Join(fmt.Errorf("dial member %q: %w", address, err), conn.Close())
	}
	return secured, nil
}

func (s *streamLayer) dial(ctx context.Context, address string) (net.Conn, error) {
	if s.Streams.Dial != nil {
		return s.Streams.Dial(ctx, address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}

// secured is what *tls.Conn has beyond net.Conn.
type secured interface {
	HandshakeContext(context.Context) error
	ConnectionState() tls.ConnectionState
}

// verify completes the handshake and asks who the other end is.
func verify(ctx context.Context, conn net.Conn, peer func(tls.ConnectionState) error) error {
	transport, ok := conn.(secured)
	if !ok {
		return errors.New("connection is not TLS")
	}
	if err := transport.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	connection := transport.ConnectionState()
	if connection.NegotiatedProtocol != Protocol {
		return fmt.Errorf("protocol %q is not %q", connection.NegotiatedProtocol, Protocol)
	}
	if err := peer(connection); err != nil {
		return fmt.Errorf("verify peer: %w", err)
	}
	return nil
}

// verifiedConn is an accepted connection of which no byte is read or written
// before its peer is verified.
type verifiedConn struct {
	net.Conn
	verify func(tls.ConnectionState) error

	once sync.Once
	err  error
}

// Read implements net.Conn.
func (c *verifiedConn) Read(p []byte) (int, error) {
	if err := c.verified(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write implements net.Conn.
func (c *verifiedConn) Write(p []byte) (int, error) {
	if err := c.verified(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *verifiedConn) verified() error {
	c.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
		defer cancel()
		if err := verify(ctx, c.Conn, c.verify); err != nil {
			c.err = errors.Join(fmt.Errorf("refuse %s: %w", c.RemoteAddr(), err), c.Conn.Close())
		}
	})
	return c.err
}

// memberAddress is a host:port as the others know it.
type memberAddress string

// Network implements net.Addr.
func (memberAddress) Network() string { return "tcp" }

// String implements net.Addr.
func (a memberAddress) String() string { return string(a) }
