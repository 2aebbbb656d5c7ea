package caddy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/runway-platform/runway/ingress/route"
)

func init() { caddy.RegisterModule(manager{}) }

// errUnknownName ends a handshake for a name that has no public route.
var errUnknownName = errors.New("no public route for this name")

// manager gives certificates to Caddy, for names with a public route only. It
// always answers or refuses, so that Caddy never tries to issue one.
type manager struct{ cfg *Config }

// CaddyModule says how Caddy makes a manager.
func (manager) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.get_certificate.runway", New: func() caddy.Module { return new(manager) }}
}

// Provision ties the manager to the running site.
func (m *manager) Provision(caddy.Context) (err error) {
	m.cfg, err = currentSite()
	return err
}

// GetCertificate returns the certificate for the name that the client asks for.
func (m *manager) GetCertificate(_ context.Context, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host, ok := route.Host(hello.ServerName)
	if !ok {
		return nil, errUnknownName
	}
	if _, ok := m.cfg.Routes.Table().Lookup(route.Public, host); !ok {
		return nil, errUnknownName
	}
	certificate, err := m.cfg.Certificates.Certificate(host)
	if err != nil {
		return nil, fmt.Errorf("get certificate of %q: %w", host, err)
	}
	return certificate, nil
}

func currentSite() (*Config, error) {
	cfg := site.Load()
	if cfg == nil {
		return nil, errors.New("find the running site: caddy was not started by Run")
	}
	return cfg, nil
}

var (
	_ caddy.Provisioner = (*manager)(nil)
	_ certmagic.Manager = (*manager)(nil)
)
