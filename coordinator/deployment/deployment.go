// Package deployment moves a workload from one revision to the next without losing
// a request. A strategy says which sizes the outgoing and the incoming set should
// have; the engine asks placement for them through the state, watches for failure,
// and undoes a step that fails, so that every deployment ends as succeeded or as it
// was. It starts, stops and routes nothing itself.
package deployment

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// resync is how late a deadline may be noticed.
const resync = time.Second

// Config of the deployment controller.
type Config struct {
	Views   func() *state.View
	Applier loop.Applier
	Log     *slog.Logger
}

// Controller is the deployment loop of the leader.
type Controller struct{ config Config }

// New returns a controller that does nothing until Run.
func New(config Config) *Controller { return &Controller{config: config} }

// Run moves deployments on until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return loop.Run(ctx, c.Loop()) }

// Loop returns the loop that Run runs, of a leadership that begins.
func (c *Controller) Loop() loop.Config {
	return loop.Config{
		Name:    "deployment",
		Views:   c.config.Views,
		Tables:  []state.Table{state.TableWorkloads, state.TableDeployments, state.TableWanted, state.TableReplicas, state.TableNodes, state.TableIngresses},
		Resync:  resync,
		Plan:    (&planner{guard: loop.NewGuard("deployment", c.config.Log)}).plan,
		Applier: c.config.Applier,
		Log:     c.config.Log,
	}
}

// planner is the pure part.
type planner struct{ guard *loop.Guard }

// plan returns one command for each deployment that is to move on.
func (p *planner) plan(view *state.View, now time.Time) []proto.Message {
	var commands []proto.Message
	for _, d := range view.ActiveDeployments() {
		p.guard.Do(d.GetWorkload(), func() {
			next := newSubject(view, d).advance(now)
			if proto.Equal(next, d.GetStatus()) {
				return
			}
			commands = append(commands, &runwayv1.SetDeploymentStatus{
				Deployment:    d.GetId(),
				Status:        next,
				ModifiedIndex: d.GetMeta().GetModifiedIndex(),
			})
		})
	}
	return append(commands, p.guard.Events()...)
}
