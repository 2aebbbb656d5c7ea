package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

const (
	// maxKnown bounds the addresses learned from redirects.
	maxKnown = 32
	// maxMessageBytes bounds one message. A full set of a large node or of every
	// route is far below it.
	maxMessageBytes = 64 << 20
	// connectTimeout is how long one address may take until the next is tried.
	connectTimeout = 3 * time.Second
)

// A dead coordinator that sends no reset is noticed within their sum.
var alive = keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 3 * time.Second}

// reconnect is how fast one address is tried again: an agent should be back well
// within the time after which it counts as suspect.
var reconnect = backoff.Config{
	BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second,
}

// ExpiryHeader is how a coordinator says in an answer that the caller's token ends
// soon, and when.
const ExpiryHeader = "runway-token-expires"

// ErrClosed means that the connection was closed by its owner.
var ErrClosed = errors.New("client connection is closed")

// Conn is a connection to whichever coordinator leads. It is used with the
// generated clients, for example runwayv1.NewServicesClient(conn). Safe for
// concurrent use.
//
// A call that no leader has acted on is repeated elsewhere until Config.Patience is
// over; one that may have had an effect never is. A stream on which the client
// sends more than one message cannot be repeated: when IsNotLeader(err), open it
// again at once and it goes to the leader.
type Conn struct {
	config Config
	trust  *trust

	mu        sync.Mutex
	known     []string
	preferred string
	conns     map[string]*grpc.ClientConn
	closed    bool
	// expires is when the token ends, if it ends soon.
	expires atomic.Pointer[time.Time]
}

var _ grpc.ClientConnInterface = (*Conn)(nil)

// Dial prepares a connection. It reads files but connects only at the first call.
func Dial(config Config) (*Conn, error) {
	config, err := config.load()
	if err != nil {
		return nil, err
	}
	trust, err := newTrust(config)
	if err != nil {
		return nil, err
	}
	return &Conn{
		config:    config,
		trust:     trust,
		known:     slices.Clone(config.Addresses),
		preferred: config.Addresses[0],
		conns:     map[string]*grpc.ClientConn{},
	}, nil
}

// Close ends all calls and streams.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var problems error
	for _, conn := range c.conns {
		problems = errors.Join(problems, conn.Close())
	}
	clear(c.conns)
	return problems
}

// Leader returns the address that calls go to at present.
func (c *Conn) Leader() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.preferred
}

// TokenExpires returns when the life of the caller's token ends, once a coordinator
// has said that it ends soon; zero before.
func (c *Conn) TokenExpires() time.Time {
	if at := c.expires.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

func (c *Conn) noteExpiry(header []string) {
	if len(header) != 1 {
		return
	}
	if at, err := time.Parse(time.RFC3339, header[0]); err == nil {
		c.expires.Store(&at)
	}
}

// grpc.ClientConnInterface

// Invoke performs a unary call.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	return c.search(ctx, func(ctx context.Context, to *grpc.ClientConn) error {
		return to.Invoke(ctx, method, args, reply, options...)
	})
}

// NewStream opens a stream. One on which only the server goes on sending is opened
// at its first Recv, so that it too finds the leader.
func (c *Conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	open := func(ctx context.Context, to *grpc.ClientConn) (grpc.ClientStream, error) {
		return to.NewStream(ctx, desc, method, options...)
	}
	if !desc.ClientStreams {
		return &answerStream{conn: c, ctx: ctx, open: open}, nil
	}
	var stream grpc.ClientStream
	err := c.search(ctx, func(ctx context.Context, to *grpc.ClientConn) (err error) {
		stream, err = open(ctx, to)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &sessionStream{ClientStream: stream, conn: c}, nil
}

// to returns the connection to an address, made at first use.
func (c *Conn) to(address string) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	if conn := c.conns[address]; conn != nil {
		return conn, nil
	}
	conn, err := grpc.NewClient("passthrough:///"+address, c.options()...)
	if err != nil {
		return nil, err
	}
	c.conns[address] = conn
	return conn, nil
}

// learn makes an address the one to ask first.
func (c *Conn) learn(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.preferred = address
	if !slices.Contains(c.known, address) && len(c.known) < maxKnown {
		c.known = append(c.known, address)
	}
}

// after returns the address to ask when one gave no leader.
func (c *Conn) after(address string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[(slices.Index(c.known, address)+1)%len(c.known)]
}

func (c *Conn) knownCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.known)
}

func (c *Conn) options() []grpc.DialOption {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(c.trust.tls())),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(alive),
		grpc.WithStatsHandler(sentMarker{conn: c}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)),
	}
	if c.config.Token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(c.config.Token)))
	}
	if c.config.Dialer != nil {
		options = append(options, grpc.WithContextDialer(c.config.Dialer))
	}
	return options
}
