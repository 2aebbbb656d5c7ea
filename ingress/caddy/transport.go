package caddy

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/runway-platform/runway/ingress/route"
)

const (
	// dialTimeout is long for a private network and short for a client that
	// waits for the next replica to be tried.
	dialTimeout = time.Second
	// upstreamIdle is below the 5 s after which Node.js and uvicorn close a
	// quiet connection, so that no request is sent into a closing one.
	upstreamIdle = 4 * time.Second
	// idlePerReplica bounds quiet connections to one replica.
	idlePerReplica = 256
	// maxResponseHeader bounds what a replica may answer before its body.
	maxResponseHeader = 256 << 10
)

// timeoutError says that a replica did not answer in time.
type timeoutError struct{}

// errTimeout is the cause of a request that was cut off by its own timeout.
var errTimeout error = timeoutError{}

func (timeoutError) Error() string { return "replica did not answer within the request timeout" }

// Timeout makes it a timeout to the reverse proxy.
func (timeoutError) Timeout() bool { return true }

// Temporary completes net.Error.
func (timeoutError) Temporary() bool { return false }

// transport talks to replicas in the protocol of their workload.
type transport struct{ http1, h2c *http.Transport }

func newTransport() *transport {
	h1, h2c := new(http.Protocols), new(http.Protocols)
	h1.SetHTTP1(true)
	h2c.SetUnencryptedHTTP2(true)
	return &transport{http1: newHTTPTransport(h1), h2c: newHTTPTransport(h2c)}
}

func newHTTPTransport(protocols *http.Protocols) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &http.Transport{
		Protocols: protocols,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, reverseproxy.NewDialError(err)
			}
			return conn, nil
		},
		// What the client accepts is between it and the replica.
		DisableCompression:     true,
		MaxIdleConnsPerHost:    idlePerReplica,
		IdleConnTimeout:        upstreamIdle,
		MaxResponseHeaderBytes: maxResponseHeader,
	}
}

// RoundTrip sends the request and returns the answer's headers. It returns
// errTimeout when they do not come within the timeout of the workload, counted
// from the last byte of the request that was sent. Streams have no timeout.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Scheme = "http"
	x, ok := caddyhttp.GetVar(r.Context(), exchangeVar).(*exchange)
	if !ok {
		return t.http1.RoundTrip(r)
	}
	next := t.http1
	if x.protocol == route.H2C && !isUpgrade(r) {
		next = t.h2c
	}
	if x.timeout <= 0 || x.stream && !isUpgrade(r) {
		return next.RoundTrip(r)
	}
	return roundTripWithin(next, r, x)
}

func roundTripWithin(next http.RoundTripper, r *http.Request, x *exchange) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	x.cancel = cancel // ends with the attempt: the answer's body needs it until then
	watch := newWatchdog(x.timeout, func() { cancel(errTimeout) })
	if x.body != nil {
		x.body.onRead.Store(&watch.feed)
	}
	res, err := next.RoundTrip(r.WithContext(ctx))
	if inTime := watch.stop(); inTime {
		return res, err
	}
	if err == nil {
		_ = res.Body.Close() // its context has ended
	}
	return nil, errTimeout
}

func (t *transport) closeIdle() {
	t.http1.CloseIdleConnections()
	t.h2c.CloseIdleConnections()
}

// watchdog calls bite once when it was not fed or stopped in time.
type watchdog struct {
	feed func()

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

func newWatchdog(timeout time.Duration, bite func()) *watchdog {
	w := &watchdog{timer: time.AfterFunc(timeout, bite)}
	w.feed = func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.stopped && w.timer.Stop() {
			w.timer.Reset(timeout)
		}
	}
	return w
}

// stop ends the watch and returns whether it was in time.
func (w *watchdog) stop() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	return w.timer.Stop()
}
