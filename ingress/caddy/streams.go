package caddy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/runway-platform/runway/ingress/route"
)

const (
	// closing is how long before its deadline a stream is ended: its close travels to
	// both ends, and they answer it.
	closing = time.Second
	// closingTick is how often is looked which streams are due.
	closingTick = 100 * time.Millisecond
)

// errDrained is why a stream ends: its replica or this process has to stop.
var errDrained = errors.New("the stream's drain time is over")

// streams are the answers under way that have no end of their own. They get the drain
// time of their replica, or of this process, and then a proper close: it would break
// when the replica is stopped.
type streams struct {
	mu   sync.Mutex
	open map[*exchange]func()
}

func newStreams() *streams { return &streams{open: map[*exchange]func(){}} }

// add has end called when the time of the exchange is over, and returns what takes
// that back.
func (s *streams) add(x *exchange, end func()) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[x] = end
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, x)
	}
}

// watch ends streams whose replica is due until ctx ends.
func (s *streams) watch(ctx context.Context) {
	ticker := time.NewTicker(closingTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			s.end(func(x *exchange) bool { return due(x.lease, now) })
		}
	}
}

// end ends the streams that are chosen.
func (s *streams) end(chosen func(*exchange) bool) {
	s.mu.Lock()
	var ends []func()
	for x, end := range s.open {
		if chosen(x) {
			ends = append(ends, end)
			delete(s.open, x)
		}
	}
	s.mu.Unlock()
	for _, end := range ends {
		end()
	}
}

// due tells whether the replica of a lease is about to be stopped.
func due(lease route.Lease, now time.Time) bool {
	most, left := lease.Target.DrainTimeout, lease.LeftAt()
	return most > 0 && !left.IsZero() && now.Sub(left) >= most-min(closing, most/4)
}

// endless wraps the body of an answer that has no length: once it is ended, the
// client sees a whole answer, and a gRPC client UNAVAILABLE, which it may repeat.
func (x *exchange) endless(res *http.Response) {
	if res.StatusCode == http.StatusSwitchingProtocols || res.ContentLength >= 0 && !isEvents(res) {
		return
	}
	b := &endingBody{ReadCloser: res.Body, res: res, grpc: isGRPC(x.request)}
	res.Body = b
	x.onDone(x.streams.add(x, func() {
		x.ended.Store(true)
		b.end()
	}))
}

func isEvents(res *http.Response) bool {
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return err == nil && kind == "text/event-stream"
}

// endingBody is a body that can be ended from outside.
type endingBody struct {
	io.ReadCloser
	res  *http.Response
	grpc bool

	mu    sync.Mutex
	ended bool
}

// Read reads until the end that the body has or is given.
func (b *endingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended || err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	if b.grpc {
		b.res.Trailer = http.Header{"Grpc-Status": {strconv.Itoa(grpcUnavailable)}, "Grpc-Message": {errDrained.Error()}}
	}
	return n, io.EOF
}

// end lets a Read that waits return.
func (b *endingBody) end() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	_ = b.ReadCloser.Close() // what it says is of a stream that is over
}

// http.Hijacker

// Hijack gives up the connection to a WebSocket, which is closed by a frame when its
// time is over.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(x.ResponseWriterWrapper).Hijack()
	if err != nil {
		return nil, nil, err
	}
	socket := &webSocket{Conn: conn}
	x.onDone(x.streams.add(x, func() {
		x.ended.Store(true)
		socket.end()
	}))
	return socket, buffered, nil
}
