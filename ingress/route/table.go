package route

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Table is an immutable set of routes. Tables are made by Live.Apply.
type Table struct {
	incarnation string
	generation  uint64
	routes      map[Key]*Route
	hosts       [scopes]map[string]*Route
}

// Incarnation returns which history the table's generation belongs to.
func (t *Table) Incarnation() string { return t.incarnation }

// Generation returns the generation of the newest set in the table.
func (t *Table) Generation() uint64 { return t.generation }

// Lookup returns the route of a name in the form of Host.
func (t *Table) Lookup(scope Scope, host string) (*Route, bool) {
	r, ok := t.hosts[scope][host]
	return r, ok
}

// Has reports whether the workload has a route.
func (t *Table) Has(key Key) bool {
	_, ok := t.routes[key]
	return ok
}

// Hosts returns the names of a scope, sorted.
func (t *Table) Hosts(scope Scope) []string {
	return slices.Sorted(maps.Keys(t.hosts[scope]))
}

// Len returns the number of workloads.
func (t *Table) Len() int { return len(t.routes) }

// Routes reports whether a replica of the revision has a route.
func (t *Table) Routes(key Key, revision uint64) bool {
	r, ok := t.routes[key]
	return ok && slices.ContainsFunc(r.targets, func(t *Target) bool { return t.Revision == revision })
}

// builder makes the next table out of an old one and a set.
type builder struct {
	old      *Table
	next     *Table
	loads    func(ReplicaID) *load
	problems []Problem
}

// build applies the set to the old table. What is odd in the set is left out and
// reported; everything else applies.
func build(old *Table, set Set, loads func(ReplicaID) *load) (*Table, []Problem) {
	b := &builder{old: old, loads: loads, next: &Table{
		incarnation: set.Incarnation,
		generation:  set.Generation,
		routes:      make(map[Key]*Route, len(old.routes)+len(set.Workloads)),
	}}
	b.carryOver(set)
	b.addWorkloads(set.Workloads)
	b.claimHosts()
	return b.next, b.problems
}

// carryOver keeps the routes that a difference does not speak of.
func (b *builder) carryOver(set Set) {
	if set.Full {
		return
	}
	maps.Copy(b.next.routes, b.old.routes)
	for _, key := range set.Removed {
		delete(b.next.routes, key)
	}
}

func (b *builder) addWorkloads(workloads []Workload) {
	seen := make(map[Key]bool, len(workloads))
	for _, w := range workloads {
		if reason := oddKey(w.Key, seen[w.Key]); reason != "" {
			b.refuse(w.Key, "", reason)
			continue
		}
		seen[w.Key] = true
		b.next.routes[w.Key] = b.newRoute(w)
	}
}

func oddKey(key Key, seen bool) string {
	if key.Space == "" || key.Service == "" || key.Environment == "" {
		return "workload key is incomplete"
	}
	if seen {
		return "workload is in the set twice"
	}
	return ""
}

func (b *builder) newRoute(w Workload) *Route {
	w.Hosts = b.cleanHosts(w.Key, w.Hosts)
	w.InternalHosts = b.cleanHosts(w.Key, w.InternalHosts)
	r := &Route{Workload: w}
	r.targets = b.newTargets(w)
	r.Endpoints = make([]Endpoint, len(r.targets))
	for i, t := range r.targets {
		r.Endpoints[i] = t.Endpoint
	}
	return r
}

// cleanHosts returns the names in the form of Host, each once.
func (b *builder) cleanHosts(key Key, hosts []string) []string {
	clean := make([]string, 0, min(len(hosts), MaxHosts))
	for _, raw := range hosts {
		host, ok := Host(raw)
		if !ok || strings.ContainsRune(raw, ':') {
			b.refuse(key, raw, "not a DNS name")
			continue
		}
		if slices.Contains(clean, host) {
			continue
		}
		if len(clean) == MaxHosts {
			b.refuse(key, raw, fmt.Sprintf("more than %d names", MaxHosts))
			break
		}
		clean = append(clean, host)
	}
	return clean
}

func (b *builder) newTargets(w Workload) []*Target {
	targets := make([]*Target, 0, min(len(w.Endpoints), MaxEndpoints))
	seen := make(map[ReplicaID]bool, len(w.Endpoints))
	for _, e := range w.Endpoints {
		if reason := oddEndpoint(e, seen[e.Replica]); reason != "" {
			b.refuse(w.Key, "", reason)
			continue
		}
		if len(targets) == MaxEndpoints {
			b.refuse(w.Key, "", fmt.Sprintf("more than %d endpoints", MaxEndpoints))
			break
		}
		seen[e.Replica] = true
		targets = append(targets, &Target{Endpoint: e, Dial: e.Address.String(), load: b.loads(e.Replica)})
	}
	return targets
}

func oddEndpoint(e Endpoint, seen bool) string {
	switch {
	case e.Replica == "":
		return "endpoint has no replica ID"
	case !e.Address.IsValid() || e.Address.Port() == 0 || e.Address.Addr().IsUnspecified() || e.Address.Addr().IsMulticast():
		return fmt.Sprintf("endpoint of replica %q has no usable address", e.Replica)
	case seen:
		return fmt.Sprintf("replica %q is in the workload twice", e.Replica)
	}
	return ""
}

// claimHosts gives every name to one route. Who had a name keeps it, else the
// smaller key gets it, so that no order of arrival can steal a name.
func (b *builder) claimHosts() {
	for scope := range b.next.hosts {
		b.next.hosts[scope] = make(map[string]*Route, len(b.old.hosts[scope]))
	}
	for _, key := range slices.SortedFunc(maps.Keys(b.next.routes), CompareKeys) {
		r := b.next.routes[key]
		b.claim(Public, r, r.Hosts)
		b.claim(Internal, r, r.InternalHosts)
	}
}

func (b *builder) claim(scope Scope, r *Route, hosts []string) {
	for _, host := range hosts {
		rival, taken := b.next.hosts[scope][host]
		if !taken {
			b.next.hosts[scope][host] = r
			continue
		}
		loser := r
		if b.had(scope, host, r.Key) {
			b.next.hosts[scope][host], loser = r, rival
		}
		b.refuse(loser.Key, host, "the name belongs to another workload")
	}
}

func (b *builder) had(scope Scope, host string, key Key) bool {
	owner, ok := b.old.hosts[scope][host]
	return ok && owner.Key == key
}

func (b *builder) refuse(key Key, host, reason string) {
	b.problems = append(b.problems, Problem{Key: key, Host: host, Reason: reason})
}

// CompareKeys orders workloads by space, service and environment.
func CompareKeys(a, b Key) int {
	return cmp.Or(
		cmp.Compare(a.Space, b.Space),
		cmp.Compare(a.Service, b.Service),
		cmp.Compare(a.Environment, b.Environment),
	)
}
