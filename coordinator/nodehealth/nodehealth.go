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
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
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
	// Heard tells whether a node or an ingress was heard of by this leader at all.
	Heard func(id string) bool
	// Standing returns how far an ingress followed the routes when that was looked at
	// last, which may have been on an older state than the present one.
	Standing func(ingress string) presence.Standing
	Log      *slog.Logger
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
		if phase := nodePhase(n.GetStatus().GetPhase(), silent, j.Heard(n.GetId())); phase != n.GetStatus().GetPhase() {
			commands = append(commands, &runwayv1.SetNodePhase{Node: n.GetId(), Phase: phase, Reason: heard(silent)})
		}
	}
	for _, i := range view.Ingresses() {
		standing := j.Standing(i.GetId())
		if phase, cause := j.ingress(i, standing, now); phase != i.GetStatus().GetPhase() {
			commands = append(commands, setIngressPhase(i, standing, phase, cause))
		}
	}
	return commands
}

func setIngressPhase(i *runwayv1.Ingress, standing presence.Standing, phase runwayv1.IngressPhase, cause *runwayv1.Cause) proto.Message {
	c := &runwayv1.SetIngressPhase{Ingress: i.GetId(), Phase: phase, Reason: "has confirmed its routes", Cause: cause, Seen: standing.Seen}
	if cause != nil {
		c.Reason = cause.GetSummary()
	}
	return c
}

// silence is how long a machine was not heard of while somebody listened.
func (j *judge) silence(id string, now time.Time) time.Duration {
	return now.Sub(later(j.LastBeat(id), j.awake))
}

// ingress returns the phase that an ingress should have, and why when it is lost. One
// that was lost is live again once it has confirmed the routes to this leader: a
// session alone, or an election, proves nothing.
func (j *judge) ingress(i *runwayv1.Ingress, standing presence.Standing, now time.Time) (runwayv1.IngressPhase, *runwayv1.Cause) {
	const live, lost = runwayv1.IngressPhase_INGRESS_PHASE_LIVE, runwayv1.IngressPhase_INGRESS_PHASE_LOST
	silent := j.silence(i.GetId(), now)
	since, refusal := standing.Since, i.GetStatus().GetRefusal()
	switch {
	case silent >= lostAfter:
		return lost, lostCause(code.IngressLost, heard(silent))
	case refusal != nil:
		return lost, lostCause(code.RoutesWithheld, refuses(refusal))
	case i.GetStatus().GetPhase() == lost:
		if standing.Follows() && (since.IsZero() || now.Sub(since) < silentAfter) {
			return live, nil
		}
		return lost, nil
	case since.IsZero():
		return live, nil
	}
	owes := now.Sub(later(later(since, i.GetStatus().GetPhaseSince().AsTime()), j.awake))
	if owes < silentAfter {
		return live, nil
	}
	return lost, lostCause(code.IngressLost, "is heard of, but has not confirmed its routes for "+round(owes))
}

func lostCause(c code.Code, summary string) *runwayv1.Cause {
	return &runwayv1.Cause{Code: string(c), Summary: summary, Fix: c.Fix()}
}

func refuses(r *runwayv1.RouteRefusal) string {
	return fmt.Sprintf("refuses its routes: %d would go without a reason", r.GetGoingTotal())
}

// nodePhase never brings a node back from down: that takes a registration, which
// gives it a new epoch. One that is suspect stays so until this leader has heard of
// it: an election is no sign of life.
func nodePhase(phase runwayv1.NodePhase, silent time.Duration, heard bool) runwayv1.NodePhase {
	switch {
	case phase == runwayv1.NodePhase_NODE_PHASE_DOWN || silent >= downAfter:
		return runwayv1.NodePhase_NODE_PHASE_DOWN
	case silent >= suspectAfter || phase == runwayv1.NodePhase_NODE_PHASE_SUSPECT && !heard:
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
