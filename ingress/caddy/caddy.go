// Package caddy serves requests: it runs Caddy with a generated configuration
// whose only handler of ours picks a replica for each request and hands exactly
// one upstream to Caddy's reverse proxy. Routes and certificates change behind
// that configuration, which is never reloaded.
package caddy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	// The Caddy modules that the generated configuration names, and no other:
	// the standard set costs 12 MB of memory.
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"

	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/ingress/stats"
)

// Certificates gives the certificate of a public name. It must not block.
type Certificates interface {
	Certificate(name string) (*tls.Certificate, error)
}

// Listeners are the open sockets to serve on. They are handed in, not opened
// here, so that a successor process can inherit their file descriptors.
type Listeners struct {
	// HTTP redirects public names to HTTPS.
	HTTP []net.Listener
	// HTTPS serves public names.
	HTTPS []net.Listener
	// InternalHTTP serves internal names, to replicas only.
	InternalHTTP []net.Listener
}

// Admit is what decides about new connections, see verify.Verifier.
type Admit func(ctx context.Context, conn net.Conn, target *route.Target) (net.Conn, error)

// Config is everything that the proxy needs.
type Config struct {
	Listeners    Listeners
	Routes       *route.Live
	Certificates Certificates
	Stats        *stats.Recorder
	// Admit decides about a connection that was just made to a replica, before
	// anything is sent over it: it returns the one to use, or closes it and returns
	// why, verify.ErrWrong when it leads elsewhere. Nil admits every connection.
	Admit Admit
	// DataDir is where Caddy may write; it is made when it is missing.
	DataDir string
	// HTTPSPort is the port that redirects point at.
	HTTPSPort int
	// TrustedProxies may set X-Forwarded-* headers; nobody else may.
	TrustedProxies []netip.Prefix
	// DrainTimeout bounds the wait for requests in flight when Run ends.
	DrainTimeout time.Duration
	// Serving is called once connections are taken; nil for nobody.
	Serving func()
	// Succeeded is closed when another process accepts on the same sockets: a drain
	// leaves new connections to it. Nil when there never is one.
	Succeeded <-chan struct{}
	Log       *slog.Logger

	door    *door
	streams *streams
}

// ErrRunning means that the process serves already: Caddy is one per process.
var ErrRunning = errors.New("caddy runs in this process already")

// site is what the modules that Caddy makes belong to. Caddy makes modules out
// of JSON and is one per process, hence a package-level variable.
var site atomic.Pointer[Config]

// Run serves until ctx ends, then returns once no connection is open or DrainTimeout
// has passed, whichever is first. It closes the listeners. It returns ErrRunning when
// another Run has not returned, and what ended a listener that nobody had closed.
func Run(ctx context.Context, cfg Config) error {
	cfg.door, cfg.streams = newDoor(), newStreams()
	if !site.CompareAndSwap(nil, &cfg) {
		return ErrRunning
	}
	defer site.Store(nil)
	defer cfg.door.shut()
	generated, err := configJSON(cfg)
	if err != nil {
		return err
	}
	if err := caddy.Load(generated, true); err != nil {
		return fmt.Errorf("start caddy: %w", err)
	}
	cfg.Log.Info("serving", "component", "caddy", "https", addresses(cfg.Listeners.HTTPS),
		"http", addresses(cfg.Listeners.HTTP), "internal_http", addresses(cfg.Listeners.InternalHTTP))
	if cfg.Serving != nil {
		cfg.Serving()
	}
	watched, stop := context.WithCancel(context.Background())
	var watch sync.WaitGroup
	watch.Go(func() { cfg.streams.watch(watched) })
	defer watch.Wait()
	defer stop()
	select {
	case <-ctx.Done():
	case err := <-cfg.door.broken:
		return errors.Join(err, stopCaddy())
	}
	return cfg.door.drain(cfg.DrainTimeout, cfg.Succeeded, cfg.streams)
}

func stopCaddy() error {
	if err := caddy.Stop(); err != nil {
		return fmt.Errorf("stop caddy: %w", err)
	}
	return nil
}

func addresses(listeners []net.Listener) []string {
	out := make([]string, len(listeners))
	for i, l := range listeners {
		out[i] = l.Addr().String()
	}
	return out
}
