// Package ingress is the role that takes requests from outside and from replicas:
// it follows the coordinator's routes, keeps the last good ones and their
// certificates on disk, and serves with them whether or not a coordinator is in
// reach. It decides nothing about replicas.
package ingress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/runway-platform/runway/ingress/caddy"
	"github.com/runway-platform/runway/ingress/certs"
	"github.com/runway-platform/runway/ingress/handover"
	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/ingress/stats"
	"github.com/runway-platform/runway/ingress/verify"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Ingress serves requests. Make it with New and call Run once.
type Ingress struct {
	cfg     Config
	log     *slog.Logger
	live    *route.Live
	stats   *stats.Recorder
	certs   *certs.Manager
	book    *book
	session *session
	sockets *sockets
	metrics *metrics
	// stopping is set once it was asked to stop; nudged receives then.
	stopping atomic.Bool
	nudged   chan struct{}

	// predecessor is the process that this one took over from; nil when there was none.
	predecessor *predecessor
	// claims are successors that are ready. successor is closed once one serves.
	claims    chan *handover.Claim
	successor chan struct{}
	yielded   sync.Once
	// orphaned receives when the successor ended while this process drains.
	orphaned chan struct{}

	// standing is until when the routes are certainly true; verifier asks nodes after it.
	standing *verify.Standing
	verifier *verify.Verifier
}

// New opens the listeners and loads the last good routes and certificates. It
// starts nothing.
func New(cfg Config) (*Ingress, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder %q: %w", cfg.DataDir, err)
	}
	i := &Ingress{
		cfg: cfg, log: cfg.Log.With("component", "ingress"), live: route.NewLive(), stats: stats.New(runwayv1.LatencyBounds()),
		nudged: make(chan struct{}, 1), claims: make(chan *handover.Claim), successor: make(chan struct{}), standing: verify.NewStanding(),
		orphaned: make(chan struct{}, 1),
	}
	coordinator := runwayv1.NewIngressSessionClient(cfg.Coordinator)
	var err error
	if i.certs, err = certs.New(certs.Config{
		Dir: filepath.Join(cfg.DataDir, "certificates"), Signer: signer{coordinator}, Log: cfg.Log,
	}); err != nil {
		return nil, err
	}
	i.book = newBook(i.live, i.certs, filepath.Join(cfg.DataDir, "routes"), i.log)
	loaded := i.book.load()
	i.verifier = verify.New(verify.Config{
		Standing: i.standing, Routes: i.book.routes, Asker: verify.Over(cfg.Nodes), Log: cfg.Log,
	})
	if i.sockets, err = openSockets(cfg); err != nil {
		return nil, err
	}
	i.session = newSession(i, coordinator)
	i.session.fresh.set(loaded)
	i.metrics = newMetrics(i)
	if err := cfg.Registry.Register(i.metrics); err != nil {
		return nil, errors.Join(fmt.Errorf("register metrics: %w", err), i.sockets.close())
	}
	return i, nil
}

// Addresses are the sockets that an Ingress is bound to.
type Addresses struct {
	HTTP, HTTPS, InternalHTTP, Metrics []net.Addr
}

// Addresses returns what the listeners are bound to, with real ports.
func (i *Ingress) Addresses() Addresses { return i.sockets.addresses() }

// Routes returns the full set of routes that is in use, also for DNS answers. It
// is shared and must not be changed. Before the first set it is empty.
func (i *Ingress) Routes() *runwayv1.RouteSet { return i.book.routes() }

// Run serves until ctx ends or a successor serves. Then requests in flight have the
// drain timeout to finish, and the session stays up for that time, so that the
// coordinator does not stop a replica that is still answering. Companions run as long,
// unless a successor does their work.
func (i *Ingress) Run(ctx context.Context, companions ...Companion) error {
	conn, err := i.takeOver()
	if err != nil {
		return errors.Join(err, i.sockets.close())
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer i.verifier.Close()
	defer cancel()
	defer context.AfterFunc(ctx, i.leave)()
	group, background := errgroup.WithContext(background)
	front, endFront := context.WithCancel(background)
	defer endFront()
	serving := make(chan struct{})
	group.Go(func() error {
		defer cancel()
		err := i.serve(ctx, background, func() { close(serving) })
		select {
		case <-serving:
			i.predecessor.await(background, i.cfg.DrainTimeout)
		default: // the predecessor serves on by itself
		}
		return err
	})
	group.Go(func() error { return i.Follow(background) })
	group.Go(func() error { return i.handOn(background, serving, conn) })
	group.Go(func() error { return i.serveHealth(front) })
	for _, companion := range companions {
		group.Go(func() error { return companion(front) })
	}
	group.Go(func() error {
		defer endFront()
		return i.awaitSuccessor(background)
	})
	return group.Wait()
}

// leave has the coordinator take this ingress out of DNS.
func (i *Ingress) leave() {
	i.stopping.Store(true)
	i.nudge()
}

// nudge has the session look what there is to confirm.
func (i *Ingress) nudge() {
	select {
	case i.nudged <- struct{}{}:
	default:
	}
}

// Follow keeps the routes and certificates as the coordinator says until ctx ends. It
// is what Run does beside serving.
func (i *Ingress) Follow(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return i.certs.Run(ctx) })
	group.Go(func() error { return i.book.run(ctx) })
	group.Go(func() error { return i.converse(ctx) })
	return group.Wait()
}

// serve runs Caddy until it is asked to stop, a successor serves, or another part has
// failed.
func (i *Ingress) serve(ctx, background context.Context, serving func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(background, cancel)()
	go func() {
		defer cancel()
		_ = i.awaitSuccessor(ctx) // it returns nil
	}()
	return caddy.Run(ctx, caddy.Config{
		Listeners: caddy.Listeners{
			HTTP: i.sockets.http, HTTPS: i.sockets.https, InternalHTTP: i.sockets.internalHTTP,
		},
		Routes:         i.live,
		Certificates:   i.certs,
		Stats:          i.stats,
		Admit:          i.verifier.Admit,
		DataDir:        filepath.Join(i.cfg.DataDir, "caddy"),
		HTTPSPort:      int(i.session.facts.GetHttpsPort()),
		TrustedProxies: i.cfg.TrustedProxies,
		DrainTimeout:   i.cfg.DrainTimeout,
		Serving:        serving,
		Succeeded:      i.successor,
		Log:            i.cfg.Log,
	})
}
