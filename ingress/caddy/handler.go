package caddy

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/ingress/stats"
	"github.com/runway-platform/runway/ingress/verify"
	"github.com/runway-platform/runway/proto/code"
)

func init() { caddy.RegisterModule(handler{}) }

// handler answers requests: it finds the workload that has the name, picks a
// replica, and lets Caddy's reverse proxy talk to it.
type handler struct {
	// Scope is "public" or "internal".
	Scope string `json:"scope"`
	// TrustedProxies may set X-Forwarded-* headers.
	TrustedProxies []netip.Prefix `json:"trusted_proxies,omitempty"`

	scope  route.Scope
	routes *route.Live
	stats  *stats.Recorder
	proxy  *reverseproxy.Handler
	dialer *transport
	door   *door
	// streams of this process.
	streams *streams
}

// CaddyModule says how Caddy makes a handler.
func (handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.runway", New: func() caddy.Module { return new(handler) }}
}

// Provision ties the handler to the running site.
func (h *handler) Provision(ctx caddy.Context) error {
	cfg, err := currentSite()
	if err != nil {
		return err
	}
	if h.scope, err = parseScope(h.Scope); err != nil {
		return err
	}
	h.routes, h.stats, h.door, h.streams = cfg.Routes, cfg.Stats, cfg.door, cfg.streams
	h.dialer = newTransport((&net.Dialer{Timeout: dialTimeout}).DialContext, cfg.Admit)
	h.proxy = &reverseproxy.Handler{
		Transport:     h.dialer,
		LoadBalancing: &reverseproxy.LoadBalancing{SelectionPolicy: leasedUpstream{}},
		// Streams are ended by us: Caddy would close them at the begin of a drain.
		StreamCloseDelay: caddy.Duration(cfg.DrainTimeout),
	}
	for _, prefix := range h.TrustedProxies {
		h.proxy.TrustedProxies = append(h.proxy.TrustedProxies, prefix.String())
	}
	return h.proxy.Provision(ctx)
}

// Cleanup closes streams and idle connections when the proxy stops.
func (h *handler) Cleanup() error {
	if h.proxy == nil {
		return nil
	}
	h.dialer.closeIdle()
	return h.proxy.Cleanup()
}

// ServeHTTP answers one request. It returns no error: whatever goes wrong is
// answered here, with a code and the request's ID.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	cleanRequest(r, h.trusts(r.RemoteAddr))
	x := newExchange(w, r, &h.door.leaving)
	x.streams = h.streams
	host, ok := route.Host(r.Host)
	switch {
	case r.Method == http.MethodConnect:
		x.refuse(http.StatusMethodNotAllowed, code.UnknownHost)
	case misdirected(r, host, ok):
		x.refuse(http.StatusMisdirectedRequest, code.HostMismatch)
	case !ok:
		x.refuse(http.StatusNotFound, code.UnknownHost)
	default:
		h.serve(x, r, host, next)
	}
	return nil
}

// serve offers the request to one replica after the other until one takes it.
func (h *handler) serve(x *exchange, r *http.Request, host string, next caddyhttp.Handler) {
	var tried route.Tried
	for {
		lease, err := h.routes.Acquire(h.scope, host, x.start, &tried)
		if err != nil {
			h.refuseUnrouted(x, lease, err, tried.Len())
			return
		}
		if x.tooLarge(r, lease.Route.BodyLimit) {
			lease.Release()
			h.refuse(x, lease.Route, http.StatusRequestEntityTooLarge, code.BodyTooLarge)
			return
		}
		if h.attempt(x, r, lease, next) {
			return
		}
	}
}

func (h *handler) refuseUnrouted(x *exchange, lease route.Lease, err error, tried int) {
	switch {
	case errors.Is(err, route.ErrUnknownHost):
		x.refuse(http.StatusNotFound, code.UnknownHost)
	case x.misled:
		h.refuse(x, lease.Route, http.StatusBadGateway, code.WrongReplica)
	case tried > 0:
		h.refuse(x, lease.Route, http.StatusBadGateway, code.UpstreamRefused)
	default:
		h.refuse(x, lease.Route, http.StatusServiceUnavailable, code.NoHealthyReplica)
	}
}

// refuse answers with an error that counts for the workload, as revision 0.
func (h *handler) refuse(x *exchange, r *route.Route, status int, c code.Code) {
	series := h.series(r, 0)
	series.Begin()
	x.refuse(status, c)
	series.End(status, time.Since(x.start))
}

// attempt gives the request to a replica and returns whether it is answered. It
// is not when no connection could be made: then nothing was sent, another replica
// may have it, and this one is passed over for a while.
func (h *handler) attempt(x *exchange, r *http.Request, lease route.Lease, next caddyhttp.Handler) bool {
	series := h.series(lease.Route, lease.Target.Revision)
	series.Begin()
	outcome := aborted // when the reverse proxy panics to break the connection
	defer func() {
		lease.Release()
		if outcome == untaken {
			series.Drop()
			return
		}
		series.End(x.counted(outcome), time.Since(x.start))
	}()
	defer x.use(r, lease)()
	err := h.proxy.ServeHTTP(x, r, next)
	var dial reverseproxy.DialError
	if errors.As(err, &dial) && x.status == 0 && r.Context().Err() == nil {
		lease.Eject(time.Now())
		x.misled = x.misled || errors.Is(err, verify.ErrWrong)
		if x.rewind() {
			outcome = untaken
			return false
		}
	}
	outcome = answered
	if x.status == 0 {
		x.refuse(x.failure(err))
	}
	return true
}

func (h *handler) series(r *route.Route, revision uint64) *stats.Series {
	return h.stats.Series(stats.Key{
		Space: r.Key.Space, Service: r.Key.Service, Environment: r.Key.Environment, Revision: revision,
	})
}

// trusts tells whether the client is a proxy whose headers count.
func (h *handler) trusts(remote string) bool {
	if len(h.TrustedProxies) == 0 {
		return false
	}
	address, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	for _, prefix := range h.TrustedProxies {
		if prefix.Contains(address.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// misdirected tells that a request came over a connection that was made for
// another name: its certificate says nothing about this one.
func misdirected(r *http.Request, host string, ok bool) bool {
	if r.TLS == nil {
		return false
	}
	asked, askedOK := route.Host(r.TLS.ServerName)
	return !ok || !askedOK || asked != host
}

func parseScope(name string) (route.Scope, error) {
	for _, scope := range []route.Scope{route.Public, route.Internal} {
		if scope.String() == name {
			return scope, nil
		}
	}
	return 0, fmt.Errorf("read handler configuration: unknown scope %q", name)
}

// leasedUpstream is how the reverse proxy learns which replica was picked: the
// response writer that it was given carries the lease.
type leasedUpstream struct{}

// Select returns the upstream of the request's lease.
func (leasedUpstream) Select(_ reverseproxy.UpstreamPool, _ *http.Request, w http.ResponseWriter) *reverseproxy.Upstream {
	if x, ok := w.(*exchange); ok {
		return x.upstream
	}
	return nil
}

var (
	_ caddy.Provisioner           = (*handler)(nil)
	_ caddy.CleanerUpper          = (*handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*handler)(nil)
	_ reverseproxy.Selector       = leasedUpstream{}
)
