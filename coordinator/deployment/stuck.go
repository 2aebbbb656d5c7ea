package deployment

import (
	"fmt"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// stuck says what a deployment without progress waits for: a replica becomes ready,
// then every live ingress confirms it.
func (s subject) stuck() *runwayv1.Cause {
	status := s.deployment.GetStatus()
	c := cause(code.DeploymentDeadline, fmt.Sprintf("no progress for %s: %d of %d replicas serve%s",
		progressDeadline, status.GetServing(), status.GetWanted(), s.obstacle()))
	for _, r := range s.replicas {
		if fleet.Owns(s.deployment, r) && fleet.Counts(s.state, r) && !fleet.Serves(s.state, r) {
			c.Evidence = append(c.Evidence, "replica "+r.GetId()+" "+s.lacks(r))
		}
	}
	for i, problem := range fleet.RouteProblems(s.state, state.IDOf(s.deployment.GetWorkload())) {
		if i == 0 && s.base == nil { // what never served is not served before every ingress can
			c.Code, c.Fix = problem.GetCode(), problem.GetFix()
		}
		c.Evidence = append(c.Evidence, problem.GetSummary())
	}
	for _, r := range s.regions {
		if reason := r.wanted.GetUnplaced().GetSummary(); reason != "" {
			c.Evidence = append(c.Evidence, reason)
		}
	}
	return c
}

// obstacle is the reason that holds for all replicas at once, if there is one.
func (s subject) obstacle() string {
	if fleet.HasEndpoint(s.spec(s.deployment.GetSpec().GetRevision())) && s.liveIngresses() == 0 {
		return "; no ingress is live, so that no route can be confirmed"
	}
	return ""
}

// lacks says what keeps a replica from serving.
func (s subject) lacks(r *runwayv1.Replica) string {
	node := s.state.Node(r.GetPlan().GetNode())
	switch {
	case node.GetStatus().GetPhase() != runwayv1.NodePhase_NODE_PHASE_READY:
		return "is on node " + node.GetName() + ", which is not heard of"
	case !r.GetStatus().GetReady() && r.GetStatus().GetCause() != nil:
		return "is not ready: " + r.GetStatus().GetCause().GetSummary()
	case !r.GetStatus().GetReady():
		return "is not ready"
	case s.liveIngresses() == 0:
		return "is ready, and no ingress is live"
	default:
		return "is ready, and not yet confirmed by every live ingress"
	}
}

func (s subject) liveIngresses() int {
	live := 0
	for _, i := range s.state.Ingresses() {
		if fleet.Live(i) {
			live++
		}
	}
	return live
}
