package dispatch

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// sentAssignments remembers what an agent was sent, so that the next message has
// only the difference.
type sentAssignments struct {
	node      string
	full      bool
	replicas  map[string]sentReplica
	ingresses []*runwayv1.IngressPeer
}

// sentReplica is what of an assignment can change. The spec cannot: a revision is
// immutable, and a space is restricted or not from the beginning.
type sentReplica struct {
	goal       runwayv1.Goal
	epoch      uint64
	deployment string
}

func newSentAssignments(node string) *sentAssignments {
	return &sentAssignments{node: node, full: true, replicas: map[string]sentReplica{}}
}

// next returns the message that brings the agent to the view and to the ingresses of
// the routes, nil when it is there.
func (s *sentAssignments) next(view *state.View, routes *runwayv1.RouteSet) *runwayv1.AssignmentSet {
	set := &runwayv1.AssignmentSet{
		Generation: view.Cluster().GetGenerationBase() + view.Index(),
		Full:       s.full,
		Ingresses:  peers(view, routes),
	}
	present := make(map[string]bool, len(s.replicas))
	for _, r := range view.ReplicasOn(s.node) {
		if r.GetStatus().GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED {
			continue
		}
		present[r.GetId()] = true
		now := sentReplica{r.GetPlan().GetGoal(), r.GetPlan().GetNodeEpoch(), r.GetDeployment()}
		if before, known := s.replicas[r.GetId()]; !known || before != now {
			s.replicas[r.GetId()] = now
			set.Assignments = append(set.Assignments, assignment(view, r))
		}
	}
	for id := range s.replicas {
		if !present[id] {
			delete(s.replicas, id)
			set.Removed = append(set.Removed, id)
		}
	}
	slices.Sort(set.Removed)
	same := slices.EqualFunc(s.ingresses, set.Ingresses, func(a, b *runwayv1.IngressPeer) bool { return proto.Equal(a, b) })
	if !s.full && same && len(set.Assignments)+len(set.Removed) == 0 {
		return nil
	}
	s.full, s.ingresses = false, set.Ingresses
	return set
}

func assignment(view *state.View, r *runwayv1.Replica) *runwayv1.Assignment {
	return &runwayv1.Assignment{
		Replica:    r.GetId(),
		Workload:   r.GetWorkload(),
		Revision:   r.GetRevision(),
		Region:     r.GetPlan().GetRegion(),
		NodeEpoch:  r.GetPlan().GetNodeEpoch(),
		NodePort:   r.GetPlan().GetNodePort(),
		Goal:       r.GetPlan().GetGoal(),
		Spec:       view.Revision(state.IDOf(r.GetWorkload()), r.GetRevision()).GetSpec(),
		Deployment: r.GetDeployment(),
		Restricted: view.Space(r.GetWorkload().GetSpace()).GetSpec().GetRestricted(),
	}
}

// peers are the ingresses that may reach node ports. A lost one may still have
// users and keeps its access, but replicas are not sent to it; nor to one that DNS does
// not name, as it was asked to stop.
func peers(view *state.View, routes *runwayv1.RouteSet) []*runwayv1.IngressPeer {
	var list []*runwayv1.IngressPeer
	for _, ingress := range view.Ingresses() {
		peer := &runwayv1.IngressPeer{Id: ingress.GetId(), SourceAddress: ingress.GetFacts().GetSourceAddress()}
		if ingress.GetStatus().GetPhase() == runwayv1.IngressPhase_INGRESS_PHASE_LIVE && named(routes, ingress) {
			peer.InternalDns = ingress.GetFacts().GetInternalDns()
			peer.InternalHttp = ingress.GetFacts().GetInternalHttp()
			peer.InternalHttps = ingress.GetFacts().GetInternalHttps()
		}
		list = append(list, peer)
	}
	return list
}

// named tells whether DNS answers with the ingress. Before the first routes nothing is
// known of any.
func named(routes *runwayv1.RouteSet, ingress *runwayv1.Ingress) bool {
	return routes == nil || slices.ContainsFunc(routes.GetIngresses(), func(r *runwayv1.IngressRecord) bool {
		return r.GetName() == ingress.GetName()
	})
}
