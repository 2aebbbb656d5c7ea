package simulation

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/failpoint"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	pending  = runwayv1.ReplicaPhase_REPLICA_PHASE_PENDING
	pulling  = runwayv1.ReplicaPhase_REPLICA_PHASE_PULLING
	starting = runwayv1.ReplicaPhase_REPLICA_PHASE_STARTING
	running  = runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING
	failed   = runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED
	stopping = runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPING
	stopped  = runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED
)

// earlyExits before it was ever ready fail a replica, as the agent has it.
const earlyExits = 2

// Behaviour of a replica on its node.
type Behaviour struct {
	// Pull is the time that its image takes.
	Pull time.Duration
	// Start is the time from there until it is ready, or until it fails.
	Start time.Duration
	// Cause makes it fail instead of becoming ready, NoImage during the pull.
	Cause   *runwayv1.Cause
	NoImage bool
	// Passing causes fail it only as long as the storm lasts.
	Passing bool
	// Crash is the time from ready until it ends by itself, each time; 0 is never.
	Crash time.Duration
	// Stop is the time from SIGTERM until it has ended.
	Stop time.Duration
}

// container is what runs of a replica, by what the agent knows.
type container struct {
	node   *node
	row    *runwayv1.Replica // as last assigned
	does   Behaviour
	status *runwayv1.ReplicaStatus
	// told is what was last reported.
	told *runwayv1.ReplicaStatus
	// due is when it gets on; zero is never by itself.
	due   time.Time
	exits int
}

func newContainer(n *node, r *runwayv1.Replica) *container {
	c := &container{node: n, row: r, does: n.world.config.Behave(r, n.world.random("behave "+r.GetId())), status: r.GetStatus(), due: time.Now()}
	c.told = c.status
	return c
}

// running tells whether there is a process.
func (c *container) running() bool {
	phase := c.status.GetPhase()
	return phase == starting || phase == running || phase == stopping
}

// step takes the next step that is due, if there is one.
func (c *container) step() bool {
	phase := c.status.GetPhase()
	if c.mayStop() && phase != stopping && phase != stopped {
		c.turn(stopping)
		c.due = time.Now().Add(c.does.Stop)
		return true
	}
	if c.due.IsZero() || time.Now().Before(c.due) {
		return false
	}
	c.due = time.Time{}
	switch phase {
	case pending:
		c.turn(pulling)
		c.due = time.Now().Add(c.does.Pull)
	case pulling:
		c.pulled()
	case starting:
		c.started()
	case running:
		if !c.node.world.calm {
			c.restart()
		}
	case stopping:
		c.node.world.checker.stopped(c.row)
		c.turn(stopped)
	default:
		return false
	}
	return true
}

// wait is how long nothing happens by itself.
func (c *container) wait() time.Duration {
	if c.due.IsZero() {
		return time.Hour
	}
	return time.Until(c.due)
}

func (c *container) pulled() {
	if c.does.NoImage {
		c.fail(c.does.Cause)
		return
	}
	c.begin()
}

// begin starts the process.
func (c *container) begin() {
	c.turn(starting)
	c.due = time.Now().Add(c.does.Start)
	c.node.world.checker.runs(c)
}

func (c *container) started() {
	if c.does.Cause != nil && !(c.does.Passing && c.node.world.calm) {
		c.fail(c.does.Cause)
		return
	}
	c.turn(running)
	c.status.Ready, c.status.ReadyAt = true, timestamppb.Now()
	if c.does.Crash > 0 && !c.node.world.calm {
		c.due = time.Now().Add(c.does.Crash)
	}
}

// restart begins the next attempt of one that has ended by itself. One that was never
// ready gets two.
func (c *container) restart() {
	switch c.status.GetPhase() {
	case stopping:
		c.due = time.Now()
		return
	case starting:
		c.exits++
	case running:
	default:
		return
	}
	if c.exits >= earlyExits && c.status.GetReadyAt() == nil {
		c.fail(&runwayv1.Cause{Code: string(code.ExitedDuringStart)})
		return
	}
	c.turn(starting)
	c.status.Attempt++
	c.status.ExitCode = 1
	c.begin()
}

func (c *container) fail(cause *runwayv1.Cause) {
	c.turn(failed)
	c.status.Cause, c.due = cause, time.Time{}
}

// turn makes a new status; the old ones may be under way.
func (c *container) turn(phase runwayv1.ReplicaPhase) {
	next := proto.CloneOf(c.status)
	if next == nil {
		next = &runwayv1.ReplicaStatus{}
	}
	next.Phase, next.Ready = phase, false
	c.status = next
}

func (c *container) mayStop() bool {
	goal := c.row.GetPlan().GetGoal()
	return goal == runwayv1.Goal_GOAL_STOP || c.node.world.config.Break == failpoint.StopFirst && goal == runwayv1.Goal_GOAL_DRAIN
}
