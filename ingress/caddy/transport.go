package caddy

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/runway-platform/runway/ingress/route"
)

const (
	// dialTimeout is long for a private network and short for a client that
	// waits for the next replica to be tried.
	dialTimeout = time.Second
	// upstreamIdle is below the 5 s after which Node.js and uvicorn close a
	// quiet connection, so that no request is sent into a closing one.
	upstreamIdle = 4 * time.Second
	// onceIdle is upstreamIdle for requests that must not be sent twice: below the
	// shortest limit in use, the 2 s of gunicorn.
	onceIdle = time.Second
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

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// transport talks to replicas in the protocol of their workload. Requests that
// must not be sent twice have connections of their own.
type transport struct{ http1, once, h2c *http.Transport }

func newTransport(dial dialFunc, admit Admit) *transport {
	dial = toTarget(dial, admit)
	h1, h2c := new(http.Protocols), new(http.Protocols)
	h1.SetHTTP1(true)
	h2c.SetUnencryptedHTTP2(true)
	return &transport{
		http1: newHTTPTransport(dial, h1, upstreamIdle),
		once:  newHTTPTransport(dial, h1, onceIdle),
		h2c:   newHTTPTransport(dial, h2c, upstreamIdle),
	}
}

func newHTTPTransport(dial dialFunc, protocols *http.Protocols, idle time.Duration) *http.Transport {
	return &http.Transport{
		Protocols:   protocols,
		DialContext: dial,
		// What the client accepts is between it and the replica.
		DisableCompression:     true,
		MaxIdleConnsPerHost:    idlePerReplica,
		IdleConnTimeout:        idle,
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
	// Connections are kept by replica: what was made to one is never used for
	// another that has its address.
	r.URL.Host = string(x.lease.Target.Replica)
	res, err := x.roundTrip(t.choose(r, x.protocol), resendable(r, x.body))
	if err == nil {
		x.lease.Restore()
		x.endless(res)
	}
	return res, err
}

// choose returns what speaks the protocol.
func (t *transport) choose(r *http.Request, protocol route.Protocol) *http.Transport {
	switch {
	case protocol == route.H2C && !isUpgrade(r):
		return t.h2c
	case repeatable(r):
		return t.http1
	default:
		return t.once
	}
}

// repeatable tells whether net/http sends the request again when a connection that
// was idle turns out closed after it was sent.
func repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return r.Header["Idempotency-Key"] != nil || r.Header["X-Idempotency-Key"] != nil
}

// roundTrip bounds the wait for the answer of a request that is not a stream.
func (x *exchange) roundTrip(next http.RoundTripper, r *http.Request) (*http.Response, error) {
	ctx := context.WithValue(r.Context(), targetKey{}, x.lease.Target)
	if x.stream && !isUpgrade(r) {
		return x.roundTripStream(ctx, next, r)
	}
	if x.timeout <= 0 {
		return next.RoundTrip(r.WithContext(ctx))
	}
	return roundTripWithin(ctx, next, r, x)
}

// roundTripStream waits for the headers of a stream, which may come late, for as long
// as its drain time lasts.
func (x *exchange) roundTripStream(ctx context.Context, next http.RoundTripper, r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	x.cancel = cancel // ends with the attempt: the answer's body needs it until then
	defer x.streams.add(x, func() { cancel(errDrained) })()
	return next.RoundTrip(r.WithContext(ctx))
}

func roundTripWithin(ctx context.Context, next http.RoundTripper, r *http.Request, x *exchange) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
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
	t.once.CloseIdleConnections()
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
