// Package nodehealth decides which nodes and ingresses are there, from the beats of
// their sessions. It says so in the state; what becomes of the replicas is decided
// elsewhere. Every new leader starts every timer afresh, so an election never looks
// like a mass failure.
package nodehealth

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Beats come every second on the open stream.
const (
	// suspectAfter three missed beats, requests go elsewhere.
	suspectAfter = 3 * time.Second
	// downAfter twelve, the replicas are replaced: long enough for an agent to be
	// restarted or upgraded.
	downAfter = 12 * time.Second
	// lostAfter three missed beats, an ingress blocks no deployment any more.
	lostAfter = 3 * time.Second
	// resync is how late a missed beat may be noticed.
	resync = 250 * time.Millisecond
)

// Config of the node health controller.
type Config struct {
	Views   func() *state.View
	Applier loop.Applier
	// LastBeat returns when a node or an ingress was heard of last by this leader.
	LastBeat func(id string) time.Time
	Log      *slog.Logger
}

// Controller is the health loop of the leader.
type Controller struct{ config Config }

// New returns a controller that does nothing until Run.
func New(config Config) *Controller { return &Controller{config: config} }

// Run judges until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	return loop.Run(ctx, loop.Config{
		Name:    "nodehealth",
		Views:   c.config.Views,
		Tables:  []state.Table{state.TableNodes, state.TableIngresses},
		Resync:  resync,
		Plan:    c.plan,
		Applier: c.config.Applier,
		Log:     c.config.Log,
	})
}

func (c *Controller) plan(view *state.View, now time.Time) []proto.Message {
	var commands []proto.Message
	for _, n := range view.Nodes() {
		silent := now.Sub(c.config.LastBeat(n.GetId()))
		if phase := nodePhase(n.GetStatus().GetPhase(), silent); phase != n.GetStatus().GetPhase() {
			commands = append(commands, &runwayv1.SetNodePhase{Node: n.GetId(), Phase: phase, Reason: reason(silent)})
		}
	}
	for _, i := range view.Ingresses() {
		silent := now.Sub(c.config.LastBeat(i.GetId()))
		if phase := ingressPhase(silent); phase != i.GetStatus().GetPhase() {
			commands = append(commands, &runwayv1.SetIngressPhase{Ingress: i.GetId(), Phase: phase, Reason: reason(silent)})
		}
	}
	return commands
}

// nodePhase never brings a node back from down: that takes a registration, which
// gives it a new epoch.
func nodePhase(phase runwayv1.NodePhase, silent time.Duration) runwayv1.NodePhase {
	switch {
	case phase == runwayv1.NodePhase_NODE_PHASE_DOWN || silent >= downAfter:
		return runwayv1.NodePhase_NODE_PHASE_DOWN
	case silent >= suspectAfter:
		return runwayv1.NodePhase_NODE_PHASE_SUSPECT
	default:
		return runwayv1.NodePhase_NODE_PHASE_READY
	}
}

func ingressPhase(silent time.Duration) runwayv1.IngressPhase {
	if silent >= lostAfter {
		return runwayv1.IngressPhase_INGRESS_PHASE_LOST
	}
	return runwayv1.IngressPhase_INGRESS_PHASE_LIVE
}

func reason(silent time.Duration) string {
	if silent < suspectAfter {
		return "heard of again"
	}
	return fmt.Sprintf("not heard of for %s", silent.Round(100*time.Millisecond))
}
