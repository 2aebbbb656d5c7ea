package simulation

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Violations are what the checker found wrong, each with its moment.
type Violations struct {
	mu    sync.Mutex
	found []string
	start time.Time
}

// Add notes one.
func (v *Violations) Add(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.found) < 20 {
		v.found = append(v.found, time.Since(v.start).String()+": "+fmt.Sprintf(format, args...))
	}
}

// All returns what was found.
func (v *Violations) All() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.found...)
}

// Watch checks at every change that the workload keeps at least floor replicas
// that run and are routed to, from the moment it first had as many.
func (w *World) Watch(ctx context.Context, floor func() int, v *Violations) {
	v.start = time.Now()
	reached := false
	for ctx.Err() == nil {
		view := w.View()
		serving := w.serving(view)
		want := floor()
		reached = reached || serving >= want
		if reached && serving < want {
			v.Add("%d replicas serve, %d are needed (index %d)", serving, want, view.Index())
		}
		select {
		case <-ctx.Done():
		case <-view.Changed(state.TableReplicas):
		}
	}
}

func (w *World) serving(view *state.View) int {
	count := 0
	for _, r := range view.ReplicasOf(state.IDOf(Key)) {
		if fleet.Serves(view, r) {
			count++
		}
	}
	return count
}

// checkRouted notes, at every change, each ingress that routes to a replica that
// has stopped: its requests would be lost.
func (w *World) checkRouted(ctx context.Context) error {
	for ctx.Err() == nil {
		view := w.View()
		for ingress, replicas := range w.routes() {
			for id := range replicas {
				r := view.Replica(id)
				if r == nil || r.GetStatus().GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED {
					w.Broken.Add("ingress %s routes to replica %s, which has stopped", ingress, id)
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-view.Changed(state.TableReplicas):
		}
	}
	return nil
}

func (w *World) routes() map[string]map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.routed)
}

func (w *World) route(ingress string, replicas map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.routed[ingress] = replicas
}
