// Package placement makes the number of replicas right: it gives every missing one
// a node and a port, and lets surplus ones go. How many there should be is decided
// elsewhere, by the wanted count and by the step of a deployment; this package
// never judges a revision.
package placement

import (
	"context"
	"log/slog"
	"time"

	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/state"
)

// resync is short because back-off after failures is waited for by looking again.
const resync = time.Second

// Config of the placement controller.
type Config struct {
	Views   func() *state.View
	Applier loop.Applier
	// NewID makes a replica ID that was never used before.
	NewID func() string
	Log   *slog.Logger
}

// Controller is the placement loop of the leader.
type Controller struct{ config Config }

// New returns a controller that does nothing until Run.
func New(config Config) *Controller { return &Controller{config: config} }

// Run places until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return loop.Run(ctx, c.Loop()) }

// Loop returns the loop that Run runs, of a leadership that begins.
func (c *Controller) Loop() loop.Config {
	p := &planner{newID: c.config.NewID, guard: loop.NewGuard("placement", c.config.Log)}
	return loop.Config{
		Name:    "placement",
		Views:   c.config.Views,
		Tables:  []state.Table{state.TableWorkloads, state.TableDeployments, state.TableWanted, state.TableReplicas, state.TableNodes},
		Resync:  resync,
		Plan:    p.plan,
		Applier: c.config.Applier,
		Log:     c.config.Log,
	}
}
