package simulation

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Ingresses take a set after ackLow to ackHigh.
const (
	ackLow  = time.Millisecond
	ackHigh = 300 * time.Millisecond
)

// runNodes plays the agents of all nodes.
func (w *World) runNodes(ctx context.Context) error {
	due := map[string]time.Time{}
	for ctx.Err() == nil {
		view := w.View()
		next := time.Hour
		for _, r := range view.Replicas() {
			next = min(next, w.moveReplica(ctx, due, r))
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-view.Changed(state.TableReplicas):
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// moveReplica reports the replica's next phase when it is due, and returns how long
// until then.
func (w *World) moveReplica(ctx context.Context, due map[string]time.Time, r *runwayv1.Replica) time.Duration {
	status := r.GetStatus()
	stopping := r.GetPlan().GetGoal() == runwayv1.Goal_GOAL_STOP ||
		w.Skip == StopFirst && r.GetPlan().GetGoal() == runwayv1.Goal_GOAL_DRAIN
	switch {
	case status.GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED:
		return time.Hour
	case stopping:
		w.report(ctx, r, &runwayv1.ReplicaStatus{Phase: runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED, Attempt: status.GetAttempt(), Cause: status.GetCause()})
		return time.Hour
	case status.GetPhase() != runwayv1.ReplicaPhase_REPLICA_PHASE_PENDING:
		return time.Hour
	}
	behaviour := w.Behave(r)
	if due[r.GetId()].IsZero() {
		due[r.GetId()] = time.Now().Add(behaviour.Start)
	}
	if wait := time.Until(due[r.GetId()]); wait > 0 {
		return wait
	}
	next := &runwayv1.ReplicaStatus{Phase: runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING, Ready: true, ReadyAt: timestamppb.Now()}
	if behaviour.Cause != nil {
		next = &runwayv1.ReplicaStatus{Phase: runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED, Cause: behaviour.Cause}
	}
	w.report(ctx, r, next)
	return time.Hour
}

func (w *World) report(ctx context.Context, r *runwayv1.Replica, status *runwayv1.ReplicaStatus) {
	_, err := w.Apply(ctx, &runwayv1.ReportReplicas{Reports: []*runwayv1.NodeReport{{
		Node: r.GetPlan().GetNode(), Replica: r.GetId(), NodeEpoch: r.GetPlan().GetNodeEpoch(), Status: status,
	}}})
	if err != nil {
		w.t.Errorf("report %s: %v", r.GetId(), err)
	}
}

// runIngress plays one ingress: it takes each set after a while, and holds a
// replica that left for as long again.
func (w *World) runIngress(ctx context.Context, id string) error {
	serving := map[string]bool{}
	for ctx.Err() == nil {
		set, changed := w.endpoints.Current()
		if set != nil {
			if !sleep(ctx, w.between(ackLow, ackHigh)) {
				return nil
			}
			now := endpointsOf(set)
			held := missingFrom(serving, now)
			serving = now
			w.route(id, now)
			w.acknowledge(id, set, held)
			if len(held) > 0 {
				if !sleep(ctx, w.between(ackLow, ackHigh)) {
					return nil
				}
				w.acknowledge(id, set, nil)
			}
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
	return nil
}

func (w *World) acknowledge(id string, set *runwayv1.RouteSet, held []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acks[id] = presence.Ack{Incarnation: set.GetIncarnation(), Generation: set.GetGeneration(), Held: held}
	close(w.acked)
	w.acked = make(chan struct{})
}

func endpointsOf(set *runwayv1.RouteSet) map[string]bool {
	replicas := map[string]bool{}
	for _, route := range set.GetRoutes() {
		for _, e := range route.GetEndpoints() {
			replicas[e.GetReplica()] = true
		}
	}
	return replicas
}

func missingFrom(before, now map[string]bool) []string {
	var missing []string
	for id := range before {
		if !now[id] {
			missing = append(missing, id)
		}
	}
	return missing
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
