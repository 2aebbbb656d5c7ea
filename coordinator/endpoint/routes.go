package endpoint

import (
	"net"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/names"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// routes returns what every ingress should serve, without a generation. A workload
// that the look trips over keeps its last route. An ingress that has confirmed no set
// of this incarnation is not in DNS: nobody is sent to it before it knows the routes.
// While the leader is settling it cannot know, and withdraws none. When none is left
// the names of all stay: an empty answer is the worst one.
func (p *planner) routes(view *state.View, proof proof, settling bool) *runwayv1.RouteSet {
	cluster := view.Cluster()
	set := &runwayv1.RouteSet{Incarnation: cluster.GetIncarnation(), Full: true, Domain: cluster.GetDomain()}
	for _, w := range view.Workloads() {
		var route *runwayv1.Route
		if !p.guard.Do(w.GetKey(), func() { route = routeOf(view, cluster.GetDomain(), w) }) {
			route = p.memory.routeOf(w.GetKey())
		}
		if route != nil {
			set.Routes = append(set.Routes, route)
		} else {
			set.Withdrawn = append(set.Withdrawn, w.GetKey())
		}
	}
	for _, deleted := range view.DeletedWorkloads() {
		set.Withdrawn = append(set.Withdrawn, deleted.GetWorkload())
	}
	set.Ingresses = reachable(view, proof, settling)
	for _, node := range view.Nodes() {
		set.Networks = append(set.Networks, &runwayv1.NodeNetwork{
			Node:        node.GetId(),
			NodeAddress: node.GetFacts().GetAddress(),
			Subnet:      node.GetFacts().GetSubnet(),
			Gateway:     node.GetFacts().GetGateway(),

			IdentityAddress: node.GetFacts().GetIdentityAddress(),
		})
	}
	return set
}

// reachable returns the ingresses for DNS. One that was asked to stop is not among
// them, unless it is all there is: an address that soon answers again is better than
// none. When none is left at all the names of all stay.
func reachable(view *state.View, proof proof, settling bool) []*runwayv1.IngressRecord {
	var staying, stopping, known []*runwayv1.IngressRecord
	for _, ingress := range view.Ingresses() {
		ack := proof.acks[ingress.GetId()]
		synced := ack.Incarnation == view.Cluster().GetIncarnation()
		switch known = append(known, record(ingress)); {
		case !fleet.Live(ingress) || !synced && !settling:
		case ack.Stopping:
			stopping = append(stopping, record(ingress))
		default:
			staying = append(staying, record(ingress))
		}
	}
	switch {
	case len(staying) > 0:
		return staying
	case len(stopping) > 0:
		return stopping
	default:
		return known
	}
}

// routeOf returns the route that was published last for a workload.
func (m *memory) routeOf(key *runwayv1.WorkloadKey) *runwayv1.Route {
	for _, route := range m.set.GetRoutes() {
		if proto.Equal(route.GetWorkload(), key) {
			return route
		}
	}
	return nil
}

// routeOf returns the route of a workload, nil when it is not published. A route
// without endpoints is kept: its requests get an answer that says why.
func routeOf(view *state.View, domain string, w *runwayv1.Workload) *runwayv1.Route {
	id := state.IDOf(w.GetKey())
	spec := publishedSpec(view, w)
	if w.GetDelete() || !fleet.HasEndpoint(spec) {
		return nil
	}
	route := &runwayv1.Route{Workload: w.GetKey(), Protocol: spec.GetProtocol(), RequestTimeout: spec.GetRequestTimeout()}
	if spec.GetPublic() {
		route.Hosts = []string{names.Public(w.GetKey(), domain)}
	}
	if spec.GetInternal() {
		route.InternalHosts = []string{names.Internal(w.GetKey())}
	}
	for _, r := range view.ReplicasOf(id) {
		if !routable(view, r) {
			continue
		}
		address := view.Node(r.GetPlan().GetNode()).GetFacts().GetAddress()
		route.Endpoints = append(route.Endpoints, &runwayv1.Endpoint{
			Replica:  r.GetId(),
			Address:  net.JoinHostPort(address, strconv.Itoa(int(r.GetPlan().GetNodePort()))),
			Revision: r.GetRevision(),

			DrainTimeout: fleet.SpecOf(view, r).GetDrainTimeout(),
		})
	}
	route.Vacant = len(route.GetEndpoints()) == 0 && vacant(view, id, spec)
	return route
}

// vacant tells whether it is known why a workload has no endpoint: it has not served
// yet, no replica is wanted, or there are some and none may get requests. Without any
// of these, the replicas may have been forgotten rather than ended.
func vacant(view *state.View, id state.WorkloadID, spec *runwayv1.RevisionSpec) bool {
	if view.Workload(id).GetServingRevision() == 0 || len(view.ReplicasOf(id)) > 0 {
		return true
	}
	wanted := view.WantedOf(id)
	return len(wanted) > 0 && !slices.ContainsFunc(wanted, func(w *runwayv1.Wanted) bool { return state.Size(w, spec) > 0 })
}

// publishedSpec is of the revision that served last, or of the one that is being
// deployed for the first time.
func publishedSpec(view *state.View, w *runwayv1.Workload) *runwayv1.RevisionSpec {
	id := state.IDOf(w.GetKey())
	if number := w.GetServingRevision(); number != 0 {
		return view.Revision(id, number).GetSpec()
	}
	return view.Revision(id, w.GetLatestRevision()).GetSpec()
}

// routable tells whether requests may be sent to the replica.
func routable(view *state.View, r *runwayv1.Replica) bool {
	node := view.Node(r.GetPlan().GetNode())
	return r.GetPlan().GetGoal() == runwayv1.Goal_GOAL_SERVE &&
		r.GetStatus().GetReady() &&
		r.GetPlan().GetNodePort() != 0 &&
		node.GetStatus().GetPhase() == runwayv1.NodePhase_NODE_PHASE_READY
}

func record(ingress *runwayv1.Ingress) *runwayv1.IngressRecord {
	facts := ingress.GetFacts()
	return &runwayv1.IngressRecord{
		Name:            ingress.GetName(),
		PublicAddresses: facts.GetPublicAddresses(),
		HttpsPort:       facts.GetHttpsPort(),
	}
}
