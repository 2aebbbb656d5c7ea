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

// resync is how late the end of a drain deadline may be noticed.
const resync = 500 * time.Millisecond

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

// Run publishes and confirms until ctx ends; the routes are then withdrawn from
// Current, because the next leader's generations are younger.
func (c *Controller) Run(ctx context.Context) error {
	m := newMemory()
	defer c.set(nil)
	return loop.Run(ctx, loop.Config{
		Name:    "endpoint",
		Views:   c.config.Views,
		Tables:  []state.Table{state.TableCluster, state.TableWorkloads, state.TableDeployments, state.TableRevisions, state.TableReplicas, state.TableNodes, state.TableIngresses},
		Wake:    c.config.Acked,
		Resync:  resync,
		Plan:    func(view *state.View, now time.Time) []proto.Message { return c.plan(m, view, now) },
		Applier: c.config.Applier,
		Log:     c.config.Log,
	})
}

func (c *Controller) plan(m *memory, view *state.View, now time.Time) []proto.Message {
	if view.Cluster() == nil {
		return nil
	}
	acks := c.config.Acks()
	synced := func(ingress string) bool {
		return acks[ingress].Incarnation == view.Cluster().GetIncarnation()
	}
	if m.publish(view, routes(view, synced)) {
		c.set(m.set)
	}
	return m.confirm(view, acks, now)
}

func (c *Controller) set(set *runwayv1.RouteSet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = set
	close(c.changed)
	c.changed = make(chan struct{})
}
