package caddy

import (
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/proto/code"
)

func init() { caddy.RegisterModule(redirect{}) }

// redirect sends clients of the plain public port to HTTPS. It serves nothing.
type redirect struct {
	// HTTPSPort is the port to send clients to.
	HTTPSPort int `json:"https_port"`

	routes *route.Live
	door   *door
}

// CaddyModule says how Caddy makes a redirect.
func (redirect) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.runway_redirect", New: func() caddy.Module { return new(redirect) }}
}

// Provision ties the redirect to the running site.
func (d *redirect) Provision(caddy.Context) error {
	cfg, err := currentSite()
	if err == nil {
		d.routes, d.door = cfg.Routes, cfg.door
	}
	return err
}

// ServeHTTP answers with the same address under HTTPS, for names with a public
// route only.
func (d *redirect) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	x := newExchange(w, r, &d.door.leaving)
	host, ok := route.Host(r.Host)
	if ok {
		_, ok = d.routes.Table().Lookup(route.Public, host)
	}
	if !ok {
		x.refuse(http.StatusNotFound, code.UnknownHost)
		return nil
	}
	target := url.URL{Scheme: "https", Host: host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	if d.HTTPSPort != 443 {
		target.Host = net.JoinHostPort(host, strconv.Itoa(d.HTTPSPort))
	}
	x.Header().Del("Server")
	x.Header().Set("Location", target.String())
	x.WriteHeader(http.StatusPermanentRedirect)
	return nil
}

var (
	_ caddy.Provisioner           = (*redirect)(nil)
	_ caddyhttp.MiddlewareHandler = (*redirect)(nil)
)
