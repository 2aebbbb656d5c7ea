// Package certs keeps a certificate for every public name: the key is made here,
// the request is signed by the cluster's CA over the Signer, both stay on disk
// and are renewed while they are in use. Nothing is signed because a client
// asked for a name: only names that are wanted get a certificate.
package certs

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// parallelRequests bounds signing requests at one time, so that a restart
	// with thousands of names does not crowd out the coordinator's other work.
	parallelRequests = 4
	// signTimeout bounds one request; signing takes milliseconds.
	signTimeout = 10 * time.Second
	// The first retry comes soon, as a session is usually back in a second; the
	// last ones are spread so that a broken name costs little.
	firstRetry, lastRetry = 200 * time.Millisecond, 30 * time.Second
	// resync bounds the sleep of Run, against clocks that were set.
	resync = time.Minute
	// nextRenewal is the least time between two certificates of a name, also when a
	// wrong clock says that a new one is due for renewal already.
	nextRenewal = time.Minute
	// keepUnwanted is how long the certificate of a name is kept that is not wanted any
	// more: its service may be deployed again, or its route have been lost by mistake.
	keepUnwanted = 24 * time.Hour
)

// ErrNoCertificate means that there is no certificate for a name (yet).
var ErrNoCertificate = errors.New("no certificate for this name")

// Signer signs certificate requests. It returns the chain, leaf first, as PEM.
type Signer interface {
	Sign(ctx context.Context, csrDER []byte, names []string) (chainPEM []byte, err error)
}

// Config says where a Manager keeps and gets certificates.
type Config struct {
	// Dir is made when it is missing; only the owner may read it.
	Dir    string
	Signer Signer
	Log    *slog.Logger
}

// Missing is a wanted name without a certificate.
type Missing struct {
	Name string
	// Since is when the name was wanted first.
	Since time.Time
	// Err is why the last try failed; nil before the first one ended.
	Err error
}

// Manager holds the certificates. It is safe for concurrent use.
type Manager struct {
	dir     string
	signer  Signer
	log     *slog.Logger
	current sync.Map // of *certificate, by name
	wake    chan struct{}
	changed chan struct{}

	mu       sync.Mutex // guards what follows
	wanted   map[string]*want
	unwanted map[string]time.Time // names with a certificate, since when
}

type want struct {
	since   time.Time
	err     error
	backoff time.Duration
	retryAt time.Time
}

// New returns a Manager with the certificates that are on disk and not expired.
// Files that cannot be used are left where they are and logged.
func New(cfg Config) (*Manager, error) {
	m := &Manager{
		dir:     cfg.Dir,
		signer:  cfg.Signer,
		log:     cfg.Log.With("component", "certs"),
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}, 1),
		wanted:  map[string]*want{}, unwanted: map[string]time.Time{},
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make certificate folder %q: %w", cfg.Dir, err)
	}
	now := time.Now()
	loaded, err := m.loadAll(now)
	if err != nil {
		return nil, err
	}
	for name, c := range loaded {
		m.current.Store(name, c)
		m.unwanted[name] = now
	}
	return m, nil
}

// Certificate returns the certificate for a name in lower case, or
// ErrNoCertificate. It never blocks and asks nobody.
func (m *Manager) Certificate(name string) (*tls.Certificate, error) {
	c, ok := m.have(name)
	if !ok {
		return nil, ErrNoCertificate
	}
	return &c.tls, nil
}

func (m *Manager) have(name string) (*certificate, bool) {
	c, ok := m.current.Load(name)
	if !ok {
		return nil, false
	}
	return c.(*certificate), true //nolint:forcetypeassert // nothing else is stored
}

// Want says which names have a certificate from now on, as a full set.
func (m *Manager) Want(names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	next := make(map[string]*want, len(names))
	for _, name := range names {
		next[name] = &want{since: now}
		if old, ok := m.wanted[name]; ok {
			next[name] = old
		}
	}
	for name := range m.wanted {
		if _, stays := next[name]; !stays {
			m.unwanted[name] = now
		}
	}
	for name := range next {
		delete(m.unwanted, name)
	}
	m.wanted = next
	signal(m.wake)
}

// Retry makes every name due that waits for its next try, as when the session
// is back.
func (m *Manager) Retry() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.wanted {
		w.retryAt, w.backoff = time.Time{}, 0
	}
	signal(m.wake)
}

// Missing returns the wanted names without a certificate, sorted.
func (m *Manager) Missing() []Missing {
	m.mu.Lock()
	defer m.mu.Unlock()
	var missing []Missing
	for name, w := range m.wanted {
		if _, ok := m.current.Load(name); !ok {
			missing = append(missing, Missing{Name: name, Since: w.since, Err: w.err})
		}
	}
	slices.SortFunc(missing, func(a, b Missing) int { return cmp.Compare(a.Name, b.Name) })
	return missing
}

// Changed receives after the answer of Missing may have changed.
func (m *Manager) Changed() <-chan struct{} { return m.changed }

// Run obtains and renews certificates until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	for {
		now := time.Now()
		m.drop(now)
		due, next := m.due(now)
		m.obtainAll(ctx, due)
		if len(due) > 0 && ctx.Err() == nil {
			continue
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-m.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// drop forgets the certificates of names that were not wanted for long, here and on
// disk.
func (m *Manager) drop(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, since := range m.unwanted {
		if now.Sub(since) < keepUnwanted {
			continue
		}
		delete(m.unwanted, name)
		m.current.Delete(name)
		if err := m.remove(name); err != nil {
			m.log.Warn("certificate not removed", "host", name, "err", err)
		}
	}
}

// due returns the names to obtain now, and how long to sleep if there is none.
func (m *Manager) due(now time.Time) ([]string, time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sleep := resync
	var due []string
	for name, w := range m.wanted {
		at := w.retryAt
		if c, ok := m.have(name); ok && c.renewAt.After(at) {
			at = c.renewAt
		}
		if !at.After(now) {
			due = append(due, name)
			continue
		}
		sleep = min(sleep, at.Sub(now))
	}
	slices.Sort(due)
	return due, sleep
}

func (m *Manager) obtainAll(ctx context.Context, names []string) {
	var group errgroup.Group
	group.SetLimit(parallelRequests)
	for _, name := range names {
		group.Go(func() error {
			m.obtain(ctx, name)
			return nil
		})
	}
	_ = group.Wait() // obtain keeps the error of each name
}

// obtain gets one certificate, or remembers why not and when to try again.
func (m *Manager) obtain(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, signTimeout)
	defer cancel()
	start := time.Now()
	c, err := request(ctx, m.signer, name)
	if err == nil {
		err = m.save(name, c)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.postpone(name, err)
		return
	}
	m.current.Store(name, c)
	if w, ok := m.wanted[name]; ok {
		w.err, w.backoff, w.retryAt = nil, 0, time.Now().Add(nextRenewal)
	} else {
		m.unwanted[name] = time.Now()
	}
	m.log.Info("certificate obtained", "host", name, "expires", c.tls.Leaf.NotAfter, "took", time.Since(start))
	signal(m.changed)
}

// postpone sets the next try of a name; the caller holds mu.
func (m *Manager) postpone(name string, err error) {
	w, ok := m.wanted[name]
	if !ok {
		return
	}
	w.err = err
	w.backoff = min(max(2*w.backoff, firstRetry), lastRetry)
	w.retryAt = time.Now().Add(jitter(w.backoff))
	m.log.Warn("certificate not obtained", "host", name, "err", err, "retry_in", w.backoff)
	signal(m.changed)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
