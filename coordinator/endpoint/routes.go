package endpoint

import (
	"net"
	"strconv"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/names"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// routes returns what every ingress should serve, without a generation. synced
// tells whether an ingress has confirmed any set of this incarnation: before that
// its address is not given to anybody.
func routes(view *state.View, synced func(ingress string) bool) *runwayv1.RouteSet {
	cluster := view.Cluster()
	set := &runwayv1.RouteSet{Incarnation: cluster.GetIncarnation(), Full: true, Domain: cluster.GetDomain()}
	for _, w := range view.Workloads() {
		if route := routeOf(view, cluster.GetDomain(), w); route != nil {
			set.Routes = append(set.Routes, route)
		}
	}
	for _, ingress := range view.Ingresses() {
		if live(ingress) && synced(ingress.GetId()) {
			set.Ingresses = append(set.Ingresses, record(ingress))
		}
	}
	for _, node := range view.Nodes() {
		set.Networks = append(set.Networks, &runwayv1.NodeNetwork{
			Node:        node.GetId(),
			NodeAddress: node.GetFacts().GetAddress(),
			Subnet:      node.GetFacts().GetSubnet(),
			Gateway:     node.GetFacts().GetGateway(),
		})
	}
	return set
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
		})
	}
	return route
}

// publishedSpec is of the revision that served last, or of the one that is being
// deployed for the first time.
func publishedSpec(view *state.View, w *runwayv1.Workload) *runwayv1.RevisionSpec {
	id := state.IDOf(w.GetKey())
	number := w.GetLatestRevision()
	if serving := fleet.Serving(view, id); serving != nil {
		number = serving.GetSpec().GetRevision()
	}
	return view.Revision(id, number).GetSpec()
}

// routable tells whether requests may be sent to the replica.
func routable(view *state.View, r *runwayv1.Replica) bool {
	node := view.Node(r.GetPlan().GetNode())
	return r.GetPlan().GetGoal() == runwayv1.Goal_GOAL_SERVE &&
		r.GetStatus().GetReady() &&
		r.GetPlan().GetNodePort() != 0 &&
		node.GetStatus().GetPhase() == runwayv1.NodePhase_NODE_PHASE_READY
}

func live(ingress *runwayv1.Ingress) bool {
	return ingress.GetStatus().GetPhase() == runwayv1.IngressPhase_INGRESS_PHASE_LIVE
}

func record(ingress *runwayv1.Ingress) *runwayv1.IngressRecord {
	facts := ingress.GetFacts()
	return &runwayv1.IngressRecord{
		Name:            ingress.GetName(),
		PublicAddresses: facts.GetPublicAddresses(),
		HttpPort:        facts.GetHttpPort(),
		HttpsPort:       facts.GetHttpsPort(),
		Region:          facts.GetRegion(),
	}
}
