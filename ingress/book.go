package ingress

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/runway-platform/runway/ingress/certs"
	"github.com/runway-platform/runway/ingress/route"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// book holds the set of routes that is in use: as a table for requests, as a
// message for DNS, and as a file for the next start.
type book struct {
	live  *route.Live
	certs *certs.Manager
	path  string
	log   *slog.Logger
	dirty chan struct{}

	saving sync.Mutex
	// given means that a successor writes the file from now on.
	given bool

	mu       sync.Mutex
	changed  chan struct{}      // closed when there is another set
	set      *runwayv1.RouteSet // full; replaced, never changed
	problems []route.Problem
}

func newBook(live *route.Live, certs *certs.Manager, path string, log *slog.Logger) *book {
	return &book{live: live, certs: certs, path: path, log: log, dirty: make(chan struct{}, 1), changed: make(chan struct{}), set: &runwayv1.RouteSet{Full: true}}
}

// routes returns the full set in use.
func (b *book) routes() *runwayv1.RouteSet {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.set
}

// watch returns the full set in use and a channel that is closed when there is
// another one.
func (b *book) watch() (*runwayv1.RouteSet, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.set, b.changed
}

// refused returns what was refused of the set in use.
func (b *book) refused() []route.Problem {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.problems
}

// load puts the last good set into use. Without a usable file the book is empty
// until a coordinator sends a set.
func (b *book) load() {
	set, err := readSet(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = b.use(set)
	}
	if err != nil {
		b.log.Error("routes on disk are not usable", "path", b.path, "err", err)
		return
	}
	b.log.Info("routes loaded", "generation", set.GetGeneration(), "routes", len(set.GetRoutes()))
}

// apply puts a full set or a difference into use and has it saved. On an error
// everything stays as it was.
func (b *book) apply(m *runwayv1.RouteSet) error {
	if err := b.use(m); err != nil {
		return err
	}
	select {
	case b.dirty <- struct{}{}:
	default:
	}
	return nil
}

func (b *book) use(m *runwayv1.RouteSet) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	set := toSet(m)
	set.At = time.Now()
	problems, err := b.live.Apply(set)
	if err != nil {
		return err
	}
	b.set, b.problems = merge(b.set, m), problems
	close(b.changed)
	b.changed = make(chan struct{})
	b.certs.Want(b.live.Table().Hosts(route.Public))
	for _, p := range problems {
		b.log.Warn("route refused", "service", p.Key.Space+"/"+p.Key.Service, "host", p.Host, "reason", p.Reason)
	}
	return nil
}

// run saves the set after each change until ctx ends. Changes that come while it
// writes are saved together.
func (b *book) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.dirty:
			b.save(false)
		}
	}
}

// save writes the set in use, for the last time when a successor is given the file.
func (b *book) save(given bool) {
	b.saving.Lock()
	defer b.saving.Unlock()
	if b.given {
		return
	}
	b.given = given
	if err := writeSet(b.path, b.routes()); err != nil {
		b.log.Error("routes not saved, a restart would begin with older ones", "path", b.path, "err", err)
	}
}

// merge returns the full set after m. Neither argument is changed.
func merge(old, m *runwayv1.RouteSet) *runwayv1.RouteSet {
	next := &runwayv1.RouteSet{
		Incarnation: m.GetIncarnation(), Generation: m.GetGeneration(), Full: true,
		Domain: m.GetDomain(), Ingresses: m.GetIngresses(), Networks: m.GetNetworks(),
	}
	if m.GetFull() {
		next.Routes = m.GetRoutes()
		return next
	}
	routes := make(map[route.Key]*runwayv1.Route, len(old.GetRoutes()))
	for _, r := range old.GetRoutes() {
		routes[toKey(r.GetWorkload())] = r
	}
	for _, key := range m.GetRemoved() {
		delete(routes, toKey(key))
	}
	for _, r := range m.GetRoutes() {
		routes[toKey(r.GetWorkload())] = r
	}
	next.Routes = slices.SortedFunc(maps.Values(routes), compareRoutes)
	return next
}

func compareRoutes(a, b *runwayv1.Route) int {
	return route.CompareKeys(toKey(a.GetWorkload()), toKey(b.GetWorkload()))
}
