package api

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxCauses bounds an explanation: beyond it more causes explain less.
const maxCauses = 10

// Why explains the present state of a workload.
func (s serviceService) Why(ctx context.Context, request *runwayv1.WhyRequest) (*runwayv1.WhyResponse, error) {
	view := s.view()
	workload, err := find(view, request.GetWorkload())
	if err != nil {
		return nil, err
	}
	deployment := presentDeployment(view, workload)
	causes, seen := chain(view, workload, deployment), trafficCauses(s.config.Recent(state.IDOf(workload.GetKey())))
	answer := &runwayv1.WhyResponse{
		Summary: summary(serviceView(view, caller.From(ctx), workload), causes, onTheWay(view, workload), seen), Deployment: deployment,
	}
	all := slices.Concat(causes, seen)
	answer.Causes = all[:min(len(all), maxCauses)]
	return answer, nil
}

// chain collects what is wrong, from what the user asked down to the machines. The same
// cause on several replicas is told once.
func chain(view *state.View, workload *runwayv1.Workload, deployment *runwayv1.Deployment) []*runwayv1.Cause {
	var causes []*runwayv1.Cause
	add := func(cause *runwayv1.Cause) {
		if cause == nil || len(causes) >= maxCauses {
			return
		}
		for _, told := range causes {
			if told.GetCode() == cause.GetCode() && (told.GetSummary() == cause.GetSummary() || len(told.GetEvidence()) > 0 && len(cause.GetEvidence()) == 0) {
				return
			}
		}
		causes = append(causes, cause)
	}
	add(deployment.GetStatus().GetCause())
	for _, wanted := range view.WantedOf(state.IDOf(workload.GetKey())) {
		add(wanted.GetUnplaced())
	}
	nodes := map[string]bool{}
	for _, replica := range view.ReplicasOf(state.IDOf(workload.GetKey())) {
		if ails(replica) {
			add(replica.GetStatus().GetCause())
		}
		if id := replica.GetPlan().GetNode(); !over(replica) && !nodes[id] {
			nodes[id] = true
			add(nodeCause(view.Node(id)))
		}
	}
	for _, cause := range fleet.RouteProblems(view, state.IDOf(workload.GetKey())) {
		add(cause)
	}
	add(ingressCause(view, presentRevision(view, workload).GetSpec()))
	return causes
}

// onTheWay says what replicas that do not serve yet do, and for how long the first of them
// has been made: "1 pulling, 2 starting, the first for 40s".
func onTheWay(view *state.View, workload *runwayv1.Workload) string {
	counts := map[runwayv1.ReplicaPhase]int{}
	var first time.Time
	for _, replica := range view.ReplicasOf(state.IDOf(workload.GetKey())) {
		status := replica.GetStatus()
		if replica.GetPlan().GetGoal() != runwayv1.Goal_GOAL_SERVE || over(replica) || status.GetReady() {
			continue
		}
		counts[status.GetPhase()]++
		if made := replica.GetMeta().GetCreatedAt().AsTime(); first.IsZero() || made.Before(first) {
			first = made
		}
	}
	var parts []string
	for _, phase := range slices.Sorted(maps.Keys(counts)) {
		name := strings.ToLower(strings.TrimPrefix(phase.String(), "REPLICA_PHASE_"))
		if phase == runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING {
			name = "running but not ready"
		}
		parts = append(parts, fmt.Sprintf("%d %s", counts[phase], name))
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s, the first for %s)", strings.Join(parts, ", "), max(0, time.Since(first)).Round(time.Second))
}

// ails says whether a replica is not as it should be.
func ails(replica *runwayv1.Replica) bool {
	status := replica.GetStatus()
	if replica.GetPlan().GetGoal() != runwayv1.Goal_GOAL_SERVE {
		return status.GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED
	}
	return !status.GetReady()
}

func nodeCause(n *runwayv1.Node) *runwayv1.Cause {
	phase := n.GetStatus().GetPhase()
	if phase != runwayv1.NodePhase_NODE_PHASE_SUSPECT && phase != runwayv1.NodePhase_NODE_PHASE_DOWN {
		return nil
	}
	return &runwayv1.Cause{
		Code:    string(code.NodeDown),
		Summary: fmt.Sprintf("node %s is not heard of since %s", n.GetName(), n.GetStatus().GetPhaseSince().AsTime().Format("15:04:05")),
		Fix:     code.NodeDown.Fix(),
	}
}

// ingressCause explains why ready replicas of a public service get no requests.
func ingressCause(view *state.View, spec *runwayv1.RevisionSpec) *runwayv1.Cause {
	if !fleet.HasEndpoint(spec) {
		return nil
	}
	for _, i := range view.Ingresses() {
		if fleet.Live(i) {
			return nil
		}
	}
	for _, i := range view.Ingresses() {
		if refusal := i.GetStatus().GetRefusal(); refusal != nil {
			return &runwayv1.Cause{
				Code: string(code.RoutesWithheld), Fix: code.RoutesWithheld.Fix(),
				Summary: fmt.Sprintf("ingress %s refuses its routes, because %d would go without a reason", i.GetName(), refusal.GetGoingTotal()),
			}
		}
	}
	return &runwayv1.Cause{
		Code:    string(code.NoHealthyReplica),
		Summary: "no ingress is live, so nobody can confirm the service's routes",
		Fix:     "start an ingress; `runwayctl ingresses list` shows those that are known",
	}
}

// summary is one line: what is wrong, under way, seen from outside, or healthy.
func summary(service *runwayv1.ServiceView, causes []*runwayv1.Cause, onTheWay string, seen []*runwayv1.Cause) string {
	counts := fmt.Sprintf("%d of %d replicas ready, %d serving", service.GetReady(), service.GetWanted(), service.GetServing())
	deployment := service.GetDeployment()
	switch {
	case service.GetWorkload().GetDelete():
		return "being deleted: " + counts
	case len(causes) > 0:
		return worst(causes, counts)
	case deployment != nil && !state.Ended(deployment.GetStatus().GetPhase()):
		return fmt.Sprintf("deployment of revision %d is under way: %s%s", deployment.GetSpec().GetRevision(), counts, onTheWay)
	case service.GetReady() < service.GetWanted():
		return "replicas are being made: " + counts + onTheWay
	case len(seen) > 0:
		return worst(seen, counts)
	default:
		return "healthy: " + counts
	}
}

func worst(causes []*runwayv1.Cause, counts string) string {
	return fmt.Sprintf("%s %s (%s)", causes[0].GetCode(), causes[0].GetSummary(), counts)
}
