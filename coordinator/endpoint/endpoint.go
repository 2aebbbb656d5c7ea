// Package endpoint publishes which replicas get requests and watches the proof that
// the ingresses act on it. A replica serves when every live ingress has confirmed
// a generation of the routes with it; it may stop when every live ingress has
// confirmed one without it and has finished its requests. No time stands in for an
// acknowledgement, except the drain deadline.
package endpoint

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// resync is how late the end of a drain deadline may be noticed.
	resync = 500 * time.Millisecond
	// settling is how long a new leader counts every registered ingress as live, as
	// long as a beat may be missing: an empty set of ingresses is never agreement.
	settling = 3 * time.Second
)

// Config of the endpoint controller.
type Config struct {
	Views   func() *state.View
	Applier loop.Applier
	// Acks returns the last acknowledgement of each ingress by its ID; Acked is
	// closed at the next one.
	Acks  func() map[string]presence.Ack
	Acked func() <-chan struct{}
	Log   *slog.Logger
}

// Controller is the endpoint loop of the leader, and the source of the routes that
// ingress sessions send.
type Controller struct {
	config Config

	mu      sync.Mutex
	current *runwayv1.RouteSet
	changed chan struct{}
	// standings are of the registered ingresses, by their IDs.
	standings map[string]presence.Standing
}

// New returns a controller that publishes nothing until Run.
func New(config Config) *Controller {
	return &Controller{config: config, changed: make(chan struct{})}
}

// Current returns the full set to serve now, nil before the first one, and a
// channel that is closed when there is a newer one. The set must not be changed.
func (c *Controller) Current() (*runwayv1.RouteSet, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current, c.changed
}

// Generation returns that of the present routes, 0 while none are published.
func (c *Controller) Generation() uint64 {
	set, _ := c.Current()
	return set.GetGeneration()
}

// Standing returns how far an ingress follows the routes.
func (c *Controller) Standing(ingress string) presence.Standing {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.standings[ingress]
}

// Run publishes and confirms until ctx ends; the routes are then withdrawn from
// Current, because the next leader's generations are younger.
func (c *Controller) Run(ctx context.Context) error {
	defer c.set(nil, nil)
	return loop.Run(ctx, c.Loop())
}

// Loop returns the loop that Run runs, of a leadership that begins.
func (c *Controller) Loop() loop.Config {
	p := &planner{controller: c, guard: loop.NewGuard("endpoint", c.config.Log)}
	return loop.Config{
		Name:    "endpoint",
		Views:   c.config.Views,
		Tables:  []state.Table{state.TableCluster, state.TableWorkloads, state.TableDeployments, state.TableRevisions, state.TableReplicas, state.TableNodes, state.TableIngresses},
		Wake:    c.config.Acked,
		Resync:  resync,
		Plan:    p.plan,
		Applier: c.config.Applier,
		Log:     c.config.Log,
	}
}

// planner is one leadership.
type planner struct {
	controller *Controller
	guard      *loop.Guard
	memory     *memory
}

func (p *planner) plan(view *state.View, now time.Time) []proto.Message {
	if view.Cluster() == nil {
		return nil
	}
	if p.memory == nil {
		p.memory = newMemory(view, now)
	}
	m := p.memory
	proof := newProof(view, p.controller.config.Acks(), m.settling(now))
	blocked := m.publish(view, p.routes(view, proof, m.settling(now)))
	m.track(view, proof, now)
	p.controller.set(m.set, m.standings(view, proof))
	commands := append(m.confirm(view, proof, now), reports(view, proof)...) // first what a report would outdate
	if blocked {
		commands = append(commands, turn(m))
	}
	return append(commands, p.guard.Events()...)
}

// turn returns a command that makes the next generation younger than all that were
// used: a generation is an index of the log, and names one content for ever.
func turn(m *memory) proto.Message {
	event := &runwayv1.Event{Kind: "routes.ingresses_changed", Message: "the list of ingresses in DNS changed"}
	if m.set == nil {
		event = &runwayv1.Event{Kind: "routes.resumed", Message: "a new leader publishes the routes"}
	}
	return &runwayv1.RecordEvents{Events: []*runwayv1.Event{event}}
}

// set makes a set the present one, and wakes who waits for another.
func (c *Controller) set(set *runwayv1.RouteSet, standings map[string]presence.Standing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.standings = standings
	if c.current == set {
		return
	}
	c.current = set
	close(c.changed)
	c.changed = make(chan struct{})
}
