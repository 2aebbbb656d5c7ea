package ingress

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runway-platform/runway/ingress/certs"
	"github.com/runway-platform/runway/ingress/route"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// A save that failed is tried again: until it succeeds a restart would begin with
// older routes, and the coordinator keeps the ports of what left since.
const firstSave, lastSave = time.Second, 30 * time.Second

// book holds the set of routes that is in use: as a table for requests, as a
// message for DNS, and as a file for the next start.
type book struct {
	live    *route.Live
	certs   *certs.Manager
	path    string
	log     *slog.Logger
	dirty   chan struct{}
	written chan struct{}
	failed  atomic.Uint64 // saves

	saving sync.Mutex
	// given means that a successor writes the file from now on.
	given bool

	mu    sync.Mutex // serialises use
	inUse atomic.Pointer[page]
	saved atomic.Pointer[runwayv1.RouteSet]
}

// page is a full set and what was refused of it. It is replaced, never changed, so
// that who reads it waits for nobody.
type page struct {
	set      *runwayv1.RouteSet
	problems []route.Problem
	changed  chan struct{} // closed when there is another one
}

func newPage(set *runwayv1.RouteSet, problems []route.Problem) *page {
	return &page{set: set, problems: problems, changed: make(chan struct{})}
}

func newBook(live *route.Live, certs *certs.Manager, path string, log *slog.Logger) *book {
	b := &book{live: live, certs: certs, path: path, log: log, dirty: make(chan struct{}, 1), written: make(chan struct{}, 1)}
	b.inUse.Store(newPage(&runwayv1.RouteSet{Full: true}, nil))
	return b
}

// routes returns the full set in use.
func (b *book) routes() *runwayv1.RouteSet { return b.inUse.Load().set }

// watch returns the full set in use and a channel that is closed when there is
// another one.
func (b *book) watch() (*runwayv1.RouteSet, <-chan struct{}) {
	now := b.inUse.Load()
	return now.set, now.changed
}

// refused returns what was refused of the set in use.
func (b *book) refused() []route.Problem { return b.inUse.Load().problems }

// savedIn returns the generation of the set on disk, 0 when it is of another
// incarnation.
func (b *book) savedIn(incarnation string) uint64 {
	if set := b.saved.Load(); set.GetIncarnation() == incarnation {
		return set.GetGeneration()
	}
	return 0
}

// unsaved tells whether a restart would begin with an older set.
func (b *book) unsaved() bool {
	return b.saved.Load() != b.routes() && b.routes().GetIncarnation() != ""
}

// load puts the last good set into use and returns when it was saved. Without a usable
// file the book is empty until a coordinator sends a set.
func (b *book) load() time.Time {
	set, at, err := readSet(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}
	}
	if err == nil {
		err = b.use(set)
	}
	if err != nil {
		b.log.Error("routes on disk are not usable", "path", b.path, "err", err)
		return time.Time{}
	}
	b.saved.Store(b.routes())
	b.log.Info("routes loaded", "generation", set.GetGeneration(), "routes", len(set.GetRoutes()), "saved", at)
	return at
}

// apply puts a full set or a difference into use and has it saved. On an error
// everything stays as it was.
func (b *book) apply(m *runwayv1.RouteSet) error {
	if err := b.use(m); err != nil {
		return err
	}
	signal(b.dirty)
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
	next := merge(b.routes(), m)
	if addressless(m) && !addressless(b.routes()) && !m.GetForce() {
		next.Ingresses = b.routes().GetIngresses()
		problems = append(problems, route.Problem{Reason: "the set has no address of any ingress; DNS keeps those of the set before"})
	}
	before := b.inUse.Swap(newPage(next, problems))
	close(before.changed)
	b.certs.Want(b.live.Table().Hosts(route.Public))
	for _, p := range problems {
		b.log.Warn("route refused", "service", p.Key.Space+"/"+p.Key.Service, "host", p.Host, "reason", p.Reason)
	}
	return nil
}

// addressless tells whether DNS could answer with nothing but an empty record.
func addressless(set *runwayv1.RouteSet) bool {
	return !slices.ContainsFunc(set.GetIngresses(), func(i *runwayv1.IngressRecord) bool { return len(i.GetPublicAddresses()) > 0 })
}

// run saves the set after each change until ctx ends. Changes that come while it
// writes are saved together.
func (b *book) run(ctx context.Context) error {
	wait := firstSave
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.dirty:
		case <-again:
		}
		again = nil
		if b.save(false) {
			wait = firstSave
			continue
		}
		again = time.After(jitter(wait))
		wait = min(2*wait, lastSave)
	}
}

// save writes the set in use, for the last time when a successor is given the file,
// and tells whether it need not be tried again.
func (b *book) save(given bool) bool {
	b.saving.Lock()
	defer b.saving.Unlock()
	if b.given {
		return true
	}
	b.given = given
	set := b.routes()
	if err := writeSet(b.path, set); err != nil {
		b.failed.Add(1)
		b.log.Error("routes not saved, a restart would begin with older ones", "path", b.path, "err", err)
		return false
	}
	b.saved.Store(set)
	signal(b.written)
	return true
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
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
