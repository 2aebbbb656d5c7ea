package caddy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runway-platform/runway/proto/code"
)

const (
	// farewell is how long a drain goes on taking connections, and how long it keeps
	// quiet ones open: as long as clients may still have the address from DNS.
	farewell = 5 * time.Second
	// quiet is how long no connection must have come for nobody to come any more.
	quiet = time.Second
)

// door is what all connections come in through. It knows how many are open, which
// net/http does not tell: Caddy's Stop returns while requests are in flight.
type door struct {
	// leaving tells that answers are to end their connections.
	leaving atomic.Bool
	// broken receives what ended a listener that was not shut.
	broken chan error

	mu        sync.Mutex
	closed    bool
	listeners []*guarded
	open      int
	// changed is closed when a connection comes or goes.
	changed chan struct{}
}

func newDoor() *door { return &door{broken: make(chan error, 1), changed: make(chan struct{})} }

// guard lets connections of a listener in.
func (d *door) guard(l net.Listener) net.Listener {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := &guarded{Listener: l, door: d}
	d.listeners = append(d.listeners, g)
	return g
}

// drain ends serving. Clients are told by their next answer to connect anew, which
// loses nothing; a quiet connection that is closed may have a request on its way.
func (d *door) drain(timeout time.Duration, succeeded <-chan struct{}, streams *streams) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	d.leaving.Store(true)
	d.dismiss(ctx, min(farewell, timeout/2), min(quiet, timeout/8), succeeded)
	if err := stopCaddy(); err != nil {
		return err
	}
	long, end := context.WithTimeout(ctx, time.Until(began.Add(timeout-min(closing, timeout/4))))
	defer end()
	d.empty(long)
	streams.end(func(*exchange) bool { return true })
	d.empty(ctx)
	return nil
}

// dismiss takes connections for a while, then no more, and returns when all are closed or
// the while is over; who came last has a moment of its own then, for the request on its way.
func (d *door) dismiss(ctx context.Context, while, moment time.Duration, succeeded <-chan struct{}) {
	began := time.Now()
	begin, stop := context.WithTimeout(ctx, while)
	defer stop()
	d.takeLast(begin, succeeded)
	d.shut()
	last, done := context.WithTimeout(ctx, max(time.Until(began.Add(while)), moment))
	defer done()
	d.empty(last)
}

// takeLast lets connections in until none has come for a while, ctx ends, or they go
// to a successor.
func (d *door) takeLast(ctx context.Context, succeeded <-chan struct{}) {
	for {
		_, changed := d.count()
		timer := time.NewTimer(quiet)
		select {
		case <-changed:
			timer.Stop()
		case <-timer.C:
			return
		case <-succeeded:
			timer.Stop()
			return
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// shut takes no more connections.
func (d *door) shut() {
	d.mu.Lock()
	d.closed = true
	listeners := d.listeners
	d.mu.Unlock()
	for _, l := range listeners {
		_ = l.Close() // nothing is written to it
	}
}

// empty returns when no connection is open or ctx ends.
func (d *door) empty(ctx context.Context) {
	for {
		open, changed := d.count()
		if open == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (d *door) count() (open int, changed <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open, d.changed
}

func (d *door) add(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open += n
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *door) shutAlready() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// guarded is a listener at a door.
type guarded struct {
	net.Listener
	door *door
	once sync.Once
	err  error
}

// net.Listener

// Accept takes a connection. An error that would end the server goes to the door, as
// Caddy drops it.
func (g *guarded) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	if err == nil {
		g.door.add(1)
		return &visitor{Conn: conn, door: g.door}, nil
	}
	var passing net.Error
	if !g.door.shutAlready() && !(errors.As(err, &passing) && passing.Temporary()) { //nolint:staticcheck // the server goes on exactly then
		select {
		case g.door.broken <- fmt.Errorf("%s: serve on %s: %w", code.ListenerFailed, g.Addr(), err):
		default: // the first is enough
		}
	}
	return nil, err
}

// Close closes the listener; it may be called again.
func (g *guarded) Close() error {
	g.once.Do(func() { g.err = g.Listener.Close() })
	return g.err
}

// visitor is a connection that came in through a door.
type visitor struct {
	net.Conn
	door *door
	once sync.Once
}

// Close closes the connection.
func (v *visitor) Close() error {
	v.once.Do(func() { v.door.add(-1) })
	return v.Conn.Close()
}

// CloseWrite ends what is sent and leaves the other direction open.
func (v *visitor) CloseWrite() error {
	if half, ok := v.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return v.Close()
}
