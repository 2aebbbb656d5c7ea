package dispatch

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// maxReportBytes bounds one replica's report; of a longer one the cause is cut.
	maxReportBytes = 64 << 10
	// maxText bounds each text of an agent's event.
	maxText = 1 << 10
	// maxCutEvidence lines of at most maxText fit in a report with room to spare.
	maxCutEvidence = 32
	// oldest and newest are how far an agent's clock is believed.
	oldest, newest = time.Hour, time.Minute
)

// reportsOf gives every report of a message the node of the certificate. A full one
// also reports what is missing from it.
func reportsOf(view *state.View, node string, message *runwayv1.ReplicaReports) []*runwayv1.NodeReport {
	listed := map[string]bool{}
	var result []*runwayv1.NodeReport
	for _, r := range message.GetReplicas() {
		listed[r.GetReplica()] = true
		if r.GetStatus() == nil {
			continue
		}
		next := &runwayv1.NodeReport{Node: node, Replica: r.GetReplica(), NodeEpoch: r.GetNodeEpoch(), Status: r.GetStatus()}
		if proto.Size(next) > maxReportBytes {
			next.Status.Cause = cutCause(next.GetStatus().GetCause())
		}
		if proto.Size(next) <= maxReportBytes {
			result = append(result, next)
		}
	}
	if message.GetFull() {
		result = append(result, missing(view, node, listed)...)
	}
	return result
}

// missing reports replicas that the agent once had and has no longer: its disk was
// lost, or somebody removed them. The coordinator must decide about them.
func missing(view *state.View, node string, listed map[string]bool) []*runwayv1.NodeReport {
	var result []*runwayv1.NodeReport
	for _, r := range view.ReplicasOn(node) {
		next, ok := phaseWhenGone(r.GetStatus().GetPhase())
		if !ok || listed[r.GetId()] {
			continue
		}
		result = append(result, &runwayv1.NodeReport{
			Node: node, Replica: r.GetId(), NodeEpoch: r.GetPlan().GetNodeEpoch(),
			Status: &runwayv1.ReplicaStatus{
				Phase:   next,
				Attempt: r.GetStatus().GetAttempt(),
				Cause: &runwayv1.Cause{
					Code:    string(code.ContainerFailed),
					Summary: "the node no longer has the replica",
					Fix:     "it is replaced; see `runwayctl events` for what happened on the node",
				},
			},
		})
	}
	return result
}

// phaseWhenGone is what a replica that vanished from its node has become. One that
// no agent has started cannot vanish.
func phaseWhenGone(phase runwayv1.ReplicaPhase) (runwayv1.ReplicaPhase, bool) {
	switch phase {
	case runwayv1.ReplicaPhase_REPLICA_PHASE_PULLING,
		runwayv1.ReplicaPhase_REPLICA_PHASE_STARTING,
		runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING:
		return runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED, true
	case runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPING:
		return runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED, true
	default:
		return 0, false
	}
}

// eventsOf gives events of an agent its node. A replica of another node is not
// named, and a clock that is far off is not believed.
func eventsOf(view *state.View, node string, events []*runwayv1.AgentEvent, now time.Time) []*runwayv1.Event {
	var result []*runwayv1.Event
	if left := len(events) - maxMessageEvents; left > 0 {
		events = events[:maxMessageEvents]
		result = append(result, &runwayv1.Event{Kind: "events.dropped", Node: node, Message: fmt.Sprintf("%d more events in one message of the agent", left)})
	}
	for _, e := range events {
		if e.GetKind() == "" {
			continue
		}
		event := &runwayv1.Event{At: believable(e.GetAt(), now), Kind: cut(e.GetKind()), Node: node, Message: cut(e.GetMessage()), Code: cut(e.GetCode())}
		if replica := view.Replica(e.GetReplica()); replica.GetPlan().GetNode() == node {
			event.Replica, event.Workload, event.Deployment = replica.GetId(), replica.GetWorkload(), replica.GetDeployment()
		}
		result = append(result, event)
	}
	return result
}

func believable(at *timestamppb.Timestamp, now time.Time) *timestamppb.Timestamp {
	if at == nil || at.AsTime().Before(now.Add(-oldest)) || at.AsTime().After(now.Add(newest)) {
		return nil
	}
	return at
}

// cutCause keeps the code and the beginning of what explains it.
func cutCause(cause *runwayv1.Cause) *runwayv1.Cause {
	kept := &runwayv1.Cause{Code: cut(cause.GetCode()), Summary: cut(cause.GetSummary()), Fix: cut(cause.GetFix())}
	for _, line := range cause.GetEvidence()[:min(len(cause.GetEvidence()), maxCutEvidence)] {
		kept.Evidence = append(kept.Evidence, cut(line))
	}
	return kept
}

func cut(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxText)], "") }
