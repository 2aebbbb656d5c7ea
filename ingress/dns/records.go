package dns

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/runway-platform/runway/ingress/route"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// internalApex is the zone that only replicas are answered for.
const internalApex = "internal."

// Source gives the records of this moment. It is called once per question by
// many goroutines at a time, and returns nil until a first set has been loaded.
type Source interface {
	Records() *Records
}

// Records are the answers that follow from one set of routes. They never change;
// the next set has its own.
type Records struct {
	generation uint64
	public     *zone
	internal   *zone
	addresses  []netip.Addr // of live ingresses, sorted
	networks   networks
	problems   []string // what was left out of the set, one sentence each
}

// Build makes the records of a full set. What is odd in the set is left out and
// kept in problems. It returns nil for a set without a domain: that is what a
// process has that never heard of any route, and it must not deny names.
func Build(set *runwayv1.RouteSet) *Records {
	domain, ok := route.Host(set.GetDomain())
	if !ok {
		return nil
	}
	r := &Records{
		generation: set.GetGeneration(),
		public:     newZone(domain+".", "_https."),
		internal:   newZone(internalApex, "_http."),
	}
	r.internal.ports = []uint16{internalPort}
	for _, one := range set.GetRoutes() {
		r.addHosts(r.public, one.GetHosts())
		r.addHosts(r.internal, one.GetInternalHosts())
	}
	for _, ingress := range set.GetIngresses() {
		r.addIngress(ingress)
	}
	r.addresses = sortUnique(r.addresses, netip.Addr.Compare)
	r.public.ports = sortUnique(r.public.ports, cmp.Compare[uint16])
	r.networks = newNetworks(set.GetNetworks(), r.problem)
	return r
}

// serial of both zones is the low 32 bits of the generation.
func (r *Records) serial() uint32 { return uint32(r.generation & math.MaxUint32) }

// zoneOf returns the zone that holds a lower-case name, nil when it is elsewhere
// for this scope.
func (r *Records) zoneOf(scope route.Scope, name string) *zone {
	switch {
	case r.public.contains(name):
		return r.public
	case scope == route.Internal && r.internal.contains(name):
		return r.internal
	}
	return nil
}

func (r *Records) addHosts(z *zone, hosts []string) {
	for _, raw := range hosts {
		host, ok := route.Host(raw)
		if !ok || !z.contains(host+".") || host+"." == z.apex {
			r.problem("name %q does not belong into zone %q", raw, z.apex)
			continue
		}
		z.add(host + ".")
	}
}

func (r *Records) addIngress(ingress *runwayv1.IngressRecord) {
	for _, raw := range ingress.GetPublicAddresses() {
		address, err := netip.ParseAddr(raw)
		if err != nil || address.IsUnspecified() || address.IsMulticast() {
			r.problem("ingress %q has the odd address %q", ingress.GetName(), raw)
			continue
		}
		r.addresses = append(r.addresses, address.Unmap().WithZone(""))
	}
	switch port := ingress.GetHttpsPort(); {
	case port == 0: // it serves no HTTPS
	case port > math.MaxUint16:
		r.problem("ingress %q has the odd HTTPS port %d", ingress.GetName(), port)
	default:
		r.public.ports = append(r.public.ports, uint16(port))
	}
}

func (r *Records) problem(format string, values ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, values...))
}

func sortUnique[T comparable](values []T, compare func(a, b T) int) []T {
	slices.SortFunc(values, compare)
	return slices.Compact(values)
}
