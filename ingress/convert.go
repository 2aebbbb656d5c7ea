package ingress

import (
	"net/netip"
	"time"

	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/ingress/stats"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// bodyLimit bounds request bodies where the route says nothing else.
	bodyLimit = 10 << 20
	// defaultTimeout is the wait for an answer where the route says nothing: the
	// default of a service's request timeout.
	defaultTimeout = time.Minute
)

// toSet converts a message. An endpoint with an odd address becomes one without,
// which the table refuses by name.
func toSet(m *runwayv1.RouteSet) route.Set {
	set := route.Set{Incarnation: m.GetIncarnation(), Generation: m.GetGeneration(), Full: m.GetFull(), Force: m.GetForce()}
	for _, r := range m.GetRoutes() {
		set.Workloads = append(set.Workloads, toWorkload(r))
	}
	for _, key := range m.GetRemoved() {
		set.Removed = append(set.Removed, toKey(key))
	}
	for _, key := range m.GetWithdrawn() {
		set.Withdrawn = append(set.Withdrawn, toKey(key))
	}
	return set
}

func toWorkload(r *runwayv1.Route) route.Workload {
	w := route.Workload{
		Key:            toKey(r.GetWorkload()),
		Hosts:          r.GetHosts(),
		InternalHosts:  r.GetInternalHosts(),
		Protocol:       route.HTTP1,
		RequestTimeout: defaultTimeout,
		BodyLimit:      bodyLimit,
		Vacant:         r.GetVacant(),
	}
	if r.GetProtocol() == runwayv1.Protocol_PROTOCOL_H2C {
		w.Protocol = route.H2C
	}
	if d := r.GetRequestTimeout().AsDuration(); d > 0 {
		w.RequestTimeout = d
	}
	for _, e := range r.GetEndpoints() {
		address, err := netip.ParseAddrPort(e.GetAddress())
		if err != nil {
			address = netip.AddrPort{}
		}
		w.Endpoints = append(w.Endpoints, route.Endpoint{
			Replica: route.ReplicaID(e.GetReplica()), Address: address, Revision: e.GetRevision(),
			DrainTimeout: e.GetDrainTimeout().AsDuration(),
		})
	}
	return w
}

func toKey(key *runwayv1.WorkloadKey) route.Key {
	return route.Key{Space: key.GetSpace(), Service: key.GetService(), Environment: key.GetEnvironment()}
}

func fromKey(key route.Key) *runwayv1.WorkloadKey {
	return &runwayv1.WorkloadKey{Space: key.Space, Service: key.Service, Environment: key.Environment}
}

func fromProblem(p route.Problem) *runwayv1.RouteProblem {
	return newProblem(p.Key, p.Host, code.RouteRefused, p.Reason)
}

func newProblem(key route.Key, host string, c code.Code, reason string) *runwayv1.RouteProblem {
	return &runwayv1.RouteProblem{
		Workload: fromKey(key),
		Host:     host,
		Cause:    &runwayv1.Cause{Code: string(c), Summary: reason, Fix: c.Fix()},
	}
}

func fromCounts(counts []stats.Counts) *runwayv1.IngressStats {
	m := new(runwayv1.IngressStats)
	for _, c := range counts {
		m.Workloads = append(m.Workloads, &runwayv1.WorkloadStats{
			Workload:   &runwayv1.WorkloadKey{Space: c.Space, Service: c.Service, Environment: c.Environment},
			Revision:   c.Revision,
			Responses:  c.Responses[:],
			Latency:    c.Latency,
			LatencySum: c.LatencySum.Seconds(),
			InFlight:   uint64(max(c.InFlight, 0)), //nolint:gosec // not negative
		})
	}
	return m
}
