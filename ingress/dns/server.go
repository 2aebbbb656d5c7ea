package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/runway-platform/runway/ingress/route"
)

// Server answers on all its addresses, over UDP and TCP. Make it with New and call
// Run once.
type Server struct {
	log       *slog.Logger
	listeners []*listener
}

// New opens the sockets and sets CoreDNS up. It starts nothing; questions wait in
// the sockets until Run.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{log: cfg.Log.With("component", "dns")}
	if err := s.setUp(cfg); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// Addresses are the sockets that a Server is bound to, in the order of Config.
type Addresses struct {
	Public, Internal []netip.AddrPort
}

// Addresses returns what the server is bound to, with real ports.
func (s *Server) Addresses() Addresses {
	return Addresses{Public: s.bound(route.Public), Internal: s.bound(route.Internal)}
}

// Run answers questions until ctx ends, then those that it has begun with for at
// most 5 s. When serving ends on one address for another reason, it ends on all
// and the reason is returned.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range s.listeners {
		group.Go(func() error { return l.run(ctx) })
	}
	return group.Wait()
}

func (s *Server) setUp(cfg Config) error {
	if err := s.open(cfg); err != nil {
		return err
	}
	upstreams, err := cfg.upstreams(append(s.bound(route.Public), s.bound(route.Internal)...))
	if err != nil {
		return err
	}
	if len(upstreams) == 0 && len(cfg.Internal) > 0 {
		s.log.Warn("no resolver known, names outside of the cluster are refused")
	}
	metrics, err := newMetrics(cfg.Registerer)
	if err != nil {
		return err
	}
	for _, l := range s.listeners {
		given := dependencies{source: cfg.Source, metrics: metrics}
		if l.instance, err = newInstance(corefile(l.scope, l.address, upstreams), given); err != nil {
			return fmt.Errorf("set up %s: %w", l.address, err)
		}
	}
	return nil
}

func (s *Server) open(cfg Config) error {
	for _, one := range []struct {
		scope     route.Scope
		addresses []string
	}{{route.Public, cfg.Public}, {route.Internal, cfg.Internal}} {
		for _, address := range one.addresses {
			l := &listener{scope: one.scope, log: s.log}
			var err error
			if l.sockets, err = openPair(cfg, address); err != nil {
				return err
			}
			s.listeners = append(s.listeners, l)
			if l.address, err = l.sockets.address(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Server) close() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.sockets.close())
	}
	return errors.Join(errs...)
}

func (s *Server) bound(scope route.Scope) []netip.AddrPort {
	var bound []netip.AddrPort
	for _, l := range s.listeners {
		if l.scope == scope {
			bound = append(bound, l.address)
		}
	}
	return bound
}

// listener is one address with the CoreDNS server on it.
type listener struct {
	scope    route.Scope
	sockets  pair
	address  netip.AddrPort
	instance *instance
	log      *slog.Logger
}

// run serves both sockets, and returns after everything behind them has ended.
func (l *listener) run(ctx context.Context) error {
	if err := l.instance.startup(); err != nil {
		return errors.Join(err, l.instance.shutdown(), l.sockets.close())
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return l.ended(ctx, "tcp", l.instance.server.Serve(netutil.LimitListener(l.sockets.tcp, maxConnections)))
	})
	group.Go(func() error {
		return l.ended(ctx, "udp", l.instance.server.ServePacket(l.sockets.udp))
	})
	group.Go(func() error {
		<-ctx.Done()
		return l.stop()
	})
	return errors.Join(group.Wait(), l.instance.shutdown())
}

// errEnded means that a server stopped serving and gave no reason.
var errEnded = errors.New("ended by itself")

// ended judges the end of a server: it is fine once it was asked for.
func (l *listener) ended(ctx context.Context, network string, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		err = errEnded
	}
	return fmt.Errorf("serve DNS on %s %s: %w", network, l.address, err)
}

// stop lets CoreDNS finish what it has begun with. The sockets are closed again
// after that, because a server that was stopped before it had begun leaves them
// open and would serve for ever.
func (l *listener) stop() error {
	if err := l.instance.server.Stop(); err != nil {
		l.log.Warn("questions left unanswered", "address", l.address.String(), "err", err)
	}
	return l.sockets.close()
}
