package agent

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/runway-platform/runway/agent/runtime"
)

// presume takes what was ready when an earlier life of the agent ended to run on, while the runtime does not answer and the
// network does: namespace, address and node port are there, and what the probes say is then the truth. Nothing else is known.
func (w *worker) presume(s sighting) {
	w.presuming, w.node.published, w.node.attempted = true, s.ports, s.ports
	_, places := s.byReplica()
	for id, r := range w.replicas {
		place := places[id]
		if !r.assigned || !place.Whole() || r.seen.container != nil {
			continue
		}
		if h := r.past; h.Created && !h.ReadyAt.IsZero() && h.Condemned == nil && h.Failure == nil {
			r.seen.place, r.seen.address = place, true
			r.seen.container, r.seen.presumed = &runtime.Container{ID: r.containerID(), State: runtime.StateRunning}, true
		}
	}
}

// actBlind is a round without the runtime since the agent's start: replicas that are presumed to run are probed and reported, so
// that dead ones lose their requests; nothing is started, stopped or published.
func (w *worker) actBlind(ctx context.Context, now time.Time) time.Time {
	if w.desired == nil || !w.presuming {
		return now.Add(neverLater)
	}
	w.markPublished()
	for _, id := range slices.Sorted(maps.Keys(w.replicas)) {
		r := w.replicas[id]
		if !r.seen.presumed || r.want == nil {
			continue
		}
		w.superviseProbes(ctx, r)
		r.settle(now)
		w.reporter.put(r.id, r.want.GetNodeEpoch(), r.status(now))
	}
	w.reporter.beginPartly()
	return earliest(w.tendIngress(ctx, now), w.tendCheck(ctx, now))
}
