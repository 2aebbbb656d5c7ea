// Package nodehealth decides which nodes and ingresses are there, from the beats of
// their sessions and, for ingresses, from what they confirm. It says so in the state;
// what becomes of the replicas is decided elsewhere. Every new leader starts every
// timer afresh, so an election never looks like a mass failure.
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
	// silentAfter is how long an ingress that beats may owe the confirmation of a
	// generation before it counts as lost all the same.
	silentAfter = 5 * time.Second
	// resync is how late a missed beat may be noticed.
	resync = 250 * time.Millisecond
	// paused is the gap between two looks that means that this process stood still:
	// it is then the one that missed the beats.
	paused = suspectAfter / 2
)

// Config of the node health controller.
type Config struct {
	Views   func() *state.View
	Applier loop.Applier
	// LastBeat returns when a node or an ingress was heard of last by this leader.
	LastBeat func(id string) time.Time
	// Unconfirmed returns since when an ingress owes the confirmation of a generation
	// of the routes, zero when it owes none.
	Unconfirmed func(ingress string) time.Time
	Log         *slog.Logger
}

// Controller is the health loop of the leader.
type Controller struct{ config Config }

// New returns a controller that does nothing until Run.
func New(config Config) *Controller { return &Controller{config: config} }

// Run judges until ctx ends.
func (c *Controller) Run(ctx context.Context) error { return loop.Run(ctx, c.Loop()) }

// Loop returns the loop that Run runs, of a leadership that begins.
func (c *Controller) Loop() loop.Config {
	return loop.Config{
		Name:    "nodehealth",
		Views:   c.config.Views,
		Tables:  []state.Table{state.TableNodes, state.TableIngresses},
		Resync:  resync,
		Plan:    (&judge{Config: c.config}).plan,
		Applier: c.config.Applier,
		Log:     c.config.Log,
	}
}

// judge is one leadership.
type judge struct {
	Config
	// looked is the time of the look before; awake is since when this process has
	// looked without a pause.
	looked, awake time.Time
}

func (j *judge) plan(view *state.View, now time.Time) []proto.Message {
	if now.Sub(j.looked) > paused {
		j.awake = now
	}
	j.looked = now
	var commands []proto.Message
	for _, n := range view.Nodes() {
		silent := j.silence(n.GetId(), now)
		if phase := nodePhase(n.GetStatus().GetPhase(), silent); phase != n.GetStatus().GetPhase() {
			commands = append(commands, &runwayv1.SetNodePhase{Node: n.GetId(), Phase: phase, Reason: heard(silent)})
		}
	}
	for _, i := range view.Ingresses() {
		if phase, reason := j.ingress(i, now); phase != i.GetStatus().GetPhase() {
			commands = append(commands, &runwayv1.SetIngressPhase{Ingress: i.GetId(), Phase: phase, Reason: reason})
		}
	}
	return commands
}

// silence is how long a machine was not heard of while somebody listened.
func (j *judge) silence(id string, now time.Time) time.Duration {
	return now.Sub(later(j.LastBeat(id), j.awake))
}

// ingress returns the phase that an ingress should have and why. One that came back
// counts from its first beat as lost until it confirms the routes, unless it has
// registered anew, which gives it the time that every live one has.
func (j *judge) ingress(i *runwayv1.Ingress, now time.Time) (runwayv1.IngressPhase, string) {
	silent, since := j.silence(i.GetId(), now), j.Unconfirmed(i.GetId())
	lost := i.GetStatus().GetPhase() == runwayv1.IngressPhase_INGRESS_PHASE_LOST
	owes := now.Sub(later(later(since, i.GetStatus().GetPhaseSince().AsTime()), j.awake))
	switch {
	case silent >= lostAfter:
		return runwayv1.IngressPhase_INGRESS_PHASE_LOST, heard(silent)
	case since.IsZero():
		return runwayv1.IngressPhase_INGRESS_PHASE_LIVE, heard(silent)
	case lost || owes < silentAfter:
		return i.GetStatus().GetPhase(), ""
	default:
		return runwayv1.IngressPhase_INGRESS_PHASE_LOST, "is heard of, but has not confirmed its routes for " + round(owes)
	}
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

func heard(silent time.Duration) string {
	if silent < suspectAfter {
		return "heard of again"
	}
	return "not heard of for " + round(silent)
}

func round(d time.Duration) string { return fmt.Sprint(d.Round(100 * time.Millisecond)) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
