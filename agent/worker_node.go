package agent

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/proto/code"
)

// chore is a piece of work for the node as a whole.
type chore string

// The chores.
const (
	chorePublish chore = "publish"
	choreIngress chore = "ingress"
	choreCheck   chore = "check"
)

// nodeWork is how far the chores are.
type nodeWork struct {
	// published is the map in force, attempted everything that may be: the map that is being written or failed halfway.
	published, attempted map[uint16]netip.AddrPort
	// ingress is the word of the coordinator that is in force; nil until it was written once in this life of the agent.
	ingress *ingressPlan
	// refused is the source addresses that cannot be let in, by ingress.
	refused   map[string]string
	ingressAt time.Time
	checkAt   time.Time
	busy      map[chore]bool
	retries   map[chore]int
	retryAt   map[chore]time.Time
}

// nodeResult is what came of a chore.
type nodeResult struct {
	chore   chore
	err     error
	ports   map[uint16]netip.AddrPort
	ingress ingressPlan
	drift   []network.Drift
}

// tendNode starts the chores that are due and returns when the next one is.
func (w *worker) tendNode(ctx context.Context, now time.Time) time.Time {
	next := w.tendPorts(ctx, now)
	next = earliest(next, w.tendIngress(ctx, now))
	return earliest(next, w.tendCheck(ctx, now))
}

// tendPorts makes the published map the desired one. Ports of replicas that left are free only once it is.
func (w *worker) tendPorts(ctx context.Context, now time.Time) time.Time {
	desired := w.desiredPorts()
	if maps.Equal(desired, w.node.published) && maps.Equal(desired, w.node.attempted) {
		return now.Add(neverLater)
	}
	if at, free := w.node.free(chorePublish, now); !free {
		return at
	}
	w.node.attempted = merged(w.node.attempted, desired)
	w.begin(ctx, chorePublish, func(ctx context.Context) nodeResult {
		return nodeResult{ports: desired, err: w.deps.Network.Publish(ctx, desired)}
	})
	return now.Add(neverLater)
}

// desiredPorts leads the node port of every replica that has an address to it. When two claim a port, the one that has it
// keeps it until it is gone. A port out of the range, which may have been made smaller, must not spoil the map for the others.
func (w *worker) desiredPorts() map[uint16]netip.AddrPort {
	ports := map[uint16]netip.AddrPort{}
	for _, id := range slices.Sorted(maps.Keys(w.replicas)) {
		r := w.replicas[id]
		port, target := r.nodePort(), r.target()
		if !w.config.offers(uint32(port)) || !target.IsValid() || r.leaving() && !r.running() {
			continue
		}
		if holder, taken := ports[port]; taken && holder == w.node.published[port] {
			continue
		}
		ports[port] = target
	}
	return ports
}

// markPublished tells each replica whether its port leads to it, or may.
func (w *worker) markPublished() {
	entered := map[netip.AddrPort]bool{}
	for _, ports := range []map[uint16]netip.AddrPort{w.node.published, w.node.attempted} {
		for _, target := range ports {
			entered[target] = true
		}
	}
	for _, r := range w.replicas {
		target := r.target()
		r.seen.published = target.IsValid() && w.node.published[r.nodePort()] == target
		r.seen.entered = target.IsValid() && entered[target]
	}
}

func (r *replica) nodePort() uint16 { return uint16(r.want.GetNodePort()) }

// target is where the node port leads; not valid for a replica that has no address or no port.
func (r *replica) target() netip.AddrPort {
	if r.seen.place == nil || r.port() == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(r.seen.place.IP, r.port())
}

// tendCheck has the network's rules compared and repaired.
func (w *worker) tendCheck(ctx context.Context, now time.Time) time.Time {
	if at, free := w.node.free(choreCheck, now); !free {
		return at
	}
	if now.Before(w.node.checkAt) {
		return w.node.checkAt
	}
	w.node.checkAt = now.Add(checkEvery)
	w.begin(ctx, choreCheck, func(ctx context.Context) nodeResult {
		drift, err := w.deps.Network.Check(ctx)
		return nodeResult{drift: drift, err: err}
	})
	return w.node.checkAt
}

// begin starts a chore beside the worker.
func (w *worker) begin(ctx context.Context, c chore, do func(context.Context) nodeResult) {
	w.node.mark(c, true)
	w.running.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, stepTimeout)
		defer cancel()
		out := do(ctx)
		out.chore = c
		w.inbox.putNodeResult(out)
	})
}

// absorbNode takes note of what came of a chore.
func (w *worker) absorbNode(out nodeResult, now time.Time) {
	w.node.mark(out.chore, false)
	w.report(out.drift)
	if out.err != nil {
		w.noteChoreFailure(out, now)
		return
	}
	delete(w.node.retries, out.chore)
	switch out.chore {
	case chorePublish:
		w.node.published, w.node.attempted = out.ports, out.ports
	case choreIngress:
		w.node.ingress = &out.ingress
	case choreCheck:
	}
}

func (w *worker) report(drift []network.Drift) {
	for _, d := range drift {
		w.deps.Metrics.drifted(d.Part)
		w.reporter.event("node.drift", "", code.DriftRepaired, fmt.Sprintf("%s: %s", d.Part, d.Detail))
		w.log.Warn("drift is repaired", "part", d.Part, "drift", d.Detail)
	}
}

func (w *worker) noteChoreFailure(out nodeResult, now time.Time) {
	if w.node.retries == nil {
		w.node.retries, w.node.retryAt = map[chore]int{}, map[chore]time.Time{}
	}
	w.node.retries[out.chore]++
	tries := w.node.retries[out.chore]
	w.node.retryAt[out.chore] = now.Add(w.jitter(backOff(tries, firstRetry, lastRetry)))
	if tries == 1 {
		w.reporter.event("node.network", "", code.NetworkFailed, out.err.Error())
	}
	w.log.Warn("node chore failed", "chore", out.chore, "tries", tries, "err", out.err)
}

// free reports whether a chore may start, and when to ask again if not; one that is under way wakes the worker itself.
func (n *nodeWork) free(c chore, now time.Time) (time.Time, bool) {
	if n.busy[c] {
		return now.Add(neverLater), false
	}
	if at := n.retryAt[c]; n.retries[c] > 0 && now.Before(at) {
		return at, false
	}
	return time.Time{}, true
}

func (n *nodeWork) mark(c chore, busy bool) {
	if n.busy == nil {
		n.busy = map[chore]bool{}
	}
	n.busy[c] = busy
}

// merged is both maps; where they differ, the newer wins: what it replaces leads to nobody once it is written.
func merged(older, newer map[uint16]netip.AddrPort) map[uint16]netip.AddrPort {
	both := maps.Clone(older)
	if both == nil {
		both = map[uint16]netip.AddrPort{}
	}
	maps.Copy(both, newer)
	return both
}
