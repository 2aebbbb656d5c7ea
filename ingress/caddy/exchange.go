package caddy

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/proto/code"
)

// exchangeVar is where the transport finds the exchange of its request.
const exchangeVar = "runway.exchange"

// streamStall replaces stallTimeout for streams: they may be silent for as long
// as both ends agree to.
const streamStall = 365 * 24 * time.Hour

// outcome is how an attempt ended.
type outcome uint8

const (
	// untaken: no connection could be made and nothing was sent.
	untaken outcome = iota
	// answered: by the replica or by an error page.
	answered
	// aborted: the connection to the client was broken within an answer.
	aborted
)

// statusClientGone is what proxies count for a client that did not wait.
const statusClientGone = 499

// exchange is one request and its answer. It is the response writer that the
// reverse proxy writes to, so that it sees the status and has the last word on
// the headers that the platform owns.
type exchange struct {
	*caddyhttp.ResponseWriterWrapper
	request *http.Request
	id      string
	start   time.Time
	// status is 0 until the final headers are written.
	status   int
	revision uint64
	lease    route.Lease
	upstream *reverseproxy.Upstream
	body     *requestBody
	// leaving tells that the process ends: its clients are to connect elsewhere.
	leaving *atomic.Bool
	// misled: a node port led to another replica than the route says.
	misled bool

	protocol route.Protocol
	timeout  time.Duration
	stream   bool
	cancel   func(error)

	streams *streams
	// ended tells that the stream was closed because its drain time was over.
	ended atomic.Bool
	done  []func() // at the end of the attempt
}

// onDone has f called when the attempt ends.
func (x *exchange) onDone(f func()) { x.done = append(x.done, f) }

func newExchange(w http.ResponseWriter, r *http.Request, leaving *atomic.Bool) *exchange {
	x := &exchange{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		request:               r,
		start:                 time.Now(),
		body:                  watchBody(r),
		leaving:               leaving,
	}
	x.id = identify(r)
	caddyhttp.SetVar(r.Context(), exchangeVar, x) // for the transport
	return x
}

// use prepares the exchange for an attempt at the lease's replica and returns
// what ends the attempt.
func (x *exchange) use(r *http.Request, lease route.Lease) (done func()) {
	x.protocol = lease.Route.Protocol
	x.timeout = lease.Route.RequestTimeout
	x.revision = lease.Target.Revision
	x.lease = lease
	x.stream = isUpgrade(r) || x.protocol == route.H2C && isGRPC(r)
	x.upstream = &reverseproxy.Upstream{Host: new(reverseproxy.Host), Dial: lease.Target.Dial}
	x.cancel = nil
	if x.body != nil {
		x.body.limit(x.bodyLimit(lease.Route))
	}
	restore := x.relaxStall(r)
	return func() {
		restore()
		for _, done := range x.done {
			done()
		}
		x.done = nil
		if x.cancel != nil {
			x.cancel(nil)
		}
	}
}

// rewind makes the request ready to be sent once more and returns whether it can be.
func (x *exchange) rewind() bool { return x.body == nil || x.body.rewind() }

// relaxStall lets the body of a stream be silent.
func (x *exchange) relaxStall(r *http.Request) (restore func()) {
	if reader, _ := caddyhttp.IdleTimeoutsFromContext(r.Context()); x.stream && reader != nil {
		return reader.Override(streamStall, 0)
	}
	return func() {}
}

func (x *exchange) bodyLimit(r *route.Route) int64 {
	if x.stream {
		return 0
	}
	return r.BodyLimit
}

// tooLarge tells that a request announces a body beyond the limit.
func (x *exchange) tooLarge(r *http.Request, limit int64) bool {
	return limit > 0 && r.ContentLength > limit && !isGRPC(r)
}

// counted returns the status that the request counts with: an answer that was
// broken off is a failure, whatever its headers said.
func (x *exchange) counted(o outcome) int {
	switch {
	case x.ended.Load() && x.status != 0:
		return x.status // it had its time
	case o == answered && isGRPC(x.request):
		return countedGRPC(x.status, x.Header())
	case o == answered:
		return x.status
	case x.request.Context().Err() != nil:
		return statusClientGone
	default:
		return http.StatusBadGateway
	}
}

// failure says how an error of the reverse proxy is answered.
func (x *exchange) failure(err error) (status int, c code.Code) {
	switch {
	case x.body != nil && x.body.over.Load():
		return http.StatusRequestEntityTooLarge, code.BodyTooLarge
	case errors.Is(err, errTimeout):
		return http.StatusGatewayTimeout, code.UpstreamTimeout
	default:
		return http.StatusBadGateway, code.UpstreamBroken
	}
}

// http.ResponseWriter

// WriteHeader sets the headers that the platform owns and writes them all. Over
// HTTP/2 the server makes GOAWAY of "Connection: close".
func (x *exchange) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		x.status = status
		h := x.Header()
		removePlatformHeaders(h)
		h[requestIDHeader] = []string{x.id}
		if x.revision > 0 {
			h[revisionHeader] = []string{strconv.FormatUint(x.revision, 10)}
		}
		if x.unfinished() || x.leaving.Load() && status != http.StatusSwitchingProtocols {
			h["Connection"] = []string{"close"}
		}
	}
	x.ResponseWriterWrapper.WriteHeader(status)
}

// unfinished tells that nobody knows where the request ends and the next one on
// the connection begins: its body was not read to a proper end, or what follows
// was meant for a tunnel. With full duplex the server itself does not look.
func (x *exchange) unfinished() bool {
	if x.request.ProtoMajor != 1 {
		return false
	}
	return x.request.Method == http.MethodConnect || x.body != nil && !x.body.ended.Load()
}

// Write writes a part of the body, after headers with status 200 if there were none.
func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	return x.ResponseWriterWrapper.Write(p)
}

// Unwrap gives http.ResponseController what it wraps.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriterWrapper }

func isUpgrade(r *http.Request) bool { return r.Header["Upgrade"] != nil }

func isGRPC(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}
