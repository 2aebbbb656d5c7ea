package simulation

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// beat is how often machines are heard of.
const beat = time.Second

// node is a machine with its agent.
type node struct {
	world *World
	id    string
	facts *runwayv1.NodeFacts
	rand  *rand.Rand
	wake  chan struct{}

	mu sync.Mutex
	// cut agents go on without the coordinator; machines that are off do nothing.
	cut, off   bool
	containers map[string]*container
}

// container is what runs of a replica, by what the agent knows.
type container struct {
	row       *runwayv1.Replica // as last assigned
	behaviour Behaviour
	status    *runwayv1.ReplicaStatus
	// due is when it becomes ready, fails, crashes or has stopped.
	due      time.Time
	stopping bool
}

func newNode(w *World, number int) *node {
	id := fmt.Sprintf("n%d", number)
	return &node{
		world: w, id: id, rand: w.random(id), wake: make(chan struct{}, 1), containers: map[string]*container{},
		facts: &runwayv1.NodeFacts{
			Address: fmt.Sprintf("10.0.0.%d", number+1), Region: "local",
			CapacityCpuMilli: 8000, AllocatableCpuMilli: 8000,
			CapacityMemoryBytes: 8 << 30, AllocatableMemoryBytes: 8 << 30,
			CapacityDiskBytes: 100 << 30, AllocatableDiskBytes: 100 << 30,
			PortFirst: 20000, PortLast: 20000 + w.config.Ports - 1,
		},
	}
}

func (n *node) registration() *runwayv1.RegisterNode {
	return &runwayv1.RegisterNode{Node: n.id, Name: n.id, Facts: n.facts}
}

// Cut takes the agent from the coordinator; its replicas run on.
func (n *node) Cut(cut bool) {
	n.mu.Lock()
	n.cut = cut
	n.mu.Unlock()
	n.nudge()
}

// Power takes everything from the machine. With power its agent starts again what it
// remembers.
func (n *node) Power(on bool) {
	n.mu.Lock()
	n.off = !on
	for _, c := range n.containers {
		if on {
			n.restart(c)
		}
	}
	n.mu.Unlock()
	n.nudge()
}

// Crash ends one running replica, which its agent starts again.
func (n *node) Crash() {
	n.mu.Lock()
	for _, id := range slices.Sorted(maps.Keys(n.containers)) {
		if c := n.containers[id]; c.status.GetReady() && !c.stopping {
			n.restart(c)
			break
		}
	}
	n.mu.Unlock()
	n.nudge()
}

func (n *node) nudge() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *node) run(ctx context.Context) {
	for ctx.Err() == nil {
		view := n.world.View()
		changed := view.Changed(state.TableReplicas, state.TableNodes)
		lead, elected := n.world.leading()
		timer := time.NewTimer(n.step(ctx, view, lead))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-elected:
		case <-n.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// step does what is due and returns when to look again.
func (n *node) step(ctx context.Context, view *state.View, lead *leader) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.off {
		return time.Hour
	}
	reached := lead != nil && !n.cut
	if reached {
		lead.presence.Beat(n.id, time.Now())
		if view.Node(n.id).GetStatus().GetPhase() == runwayv1.NodePhase_NODE_PHASE_DOWN {
			n.apply(ctx, n.registration())
			return 0
		}
		n.assign(view)
	}
	next := beat
	for _, id := range slices.Sorted(maps.Keys(n.containers)) {
		next = min(next, n.evolve(n.containers[id]))
	}
	if reached {
		n.report(ctx)
	}
	return next
}

// assign takes over what the state wants of the node.
func (n *node) assign(view *state.View) {
	assigned := map[string]bool{}
	for _, r := range view.ReplicasOn(n.id) {
		if r.GetStatus().GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED {
			continue
		}
		assigned[r.GetId()] = true
		c := n.containers[r.GetId()]
		if c == nil {
			behaviour := n.world.config.Behave(r, n.rand)
			c = &container{behaviour: behaviour, status: proto.CloneOf(r.GetStatus()), due: time.Now().Add(behaviour.Start)}
			n.containers[r.GetId()] = c
		}
		c.row = r
	}
	maps.DeleteFunc(n.containers, func(id string, _ *container) bool { return !assigned[id] })
}

// evolve moves a container on when it is due, and returns when it will be.
func (n *node) evolve(c *container) time.Duration {
	if n.mayStop(c) && !c.stopping {
		c.stopping, c.due = true, time.Now().Add(c.behaviour.Stop+between(n.rand, 0, 100*time.Millisecond))
	}
	wait := time.Until(c.due)
	switch {
	case c.status.GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED || c.due.IsZero():
		return beat
	case wait > 0:
		return wait
	case c.stopping:
		n.world.checker.stopped(c.row)
		c.status = &runwayv1.ReplicaStatus{Phase: runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED, Attempt: c.status.GetAttempt(), Cause: c.status.GetCause()}
	case c.status.GetReady() && n.world.calm.Load():
		c.due = time.Time{}
	case c.status.GetReady():
		n.restart(c)
	case c.behaviour.Cause != nil:
		c.status = &runwayv1.ReplicaStatus{Phase: runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED, Attempt: c.status.GetAttempt(), Cause: c.behaviour.Cause}
		c.due = time.Time{}
	default:
		c.status = &runwayv1.ReplicaStatus{Phase: runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING, Attempt: c.status.GetAttempt(), Ready: true, ReadyAt: timestamppb.Now()}
		c.due = time.Time{}
		if c.behaviour.Crash > 0 {
			c.due = time.Now().Add(c.behaviour.Crash)
		}
	}
	return 0
}

func (n *node) mayStop(c *container) bool {
	goal := c.row.GetPlan().GetGoal()
	return goal == runwayv1.Goal_GOAL_STOP || n.world.config.Break == StopFirst && goal == runwayv1.Goal_GOAL_DRAIN
}

// restart begins the next attempt of a replica that has ended by itself.
func (n *node) restart(c *container) {
	if c.stopping || c.status.GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED {
		return
	}
	c.status = &runwayv1.ReplicaStatus{
		Phase: runwayv1.ReplicaPhase_REPLICA_PHASE_STARTING, Attempt: c.status.GetAttempt() + 1, ReadyAt: c.status.GetReadyAt(), ExitCode: 1,
	}
	c.due = time.Now().Add(c.behaviour.Start)
}

// report tells the coordinator what differs from what it knows.
func (n *node) report(ctx context.Context) {
	var reports []*runwayv1.NodeReport
	for _, id := range slices.Sorted(maps.Keys(n.containers)) {
		c := n.containers[id]
		if !proto.Equal(c.status, c.row.GetStatus()) {
			reports = append(reports, &runwayv1.NodeReport{Node: n.id, Replica: id, NodeEpoch: c.row.GetPlan().GetNodeEpoch(), Status: proto.CloneOf(c.status)})
		}
	}
	if len(reports) > 0 {
		n.apply(ctx, &runwayv1.ReportReplicas{Reports: reports})
	}
}

func (n *node) apply(ctx context.Context, payload proto.Message) {
	if _, err := n.world.Apply(ctx, payload); err != nil && ctx.Err() == nil {
		n.world.t.Errorf("node %s: %v", n.id, err)
	}
}
