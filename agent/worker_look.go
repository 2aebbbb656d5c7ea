package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/proto/code"
)

const (
	// afterEvent is how soon the machine is looked at when it stirred; events of one cause come together.
	afterEvent = 10 * time.Millisecond
	// afterAction is how soon an action's effect is confirmed.
	afterAction = 500 * time.Millisecond
	// afterBlindness is how soon a look that failed is tried again.
	afterBlindness = time.Second
	// watchPause is the time between two tries to watch the runtime.
	watchPause = time.Second
)

// lookBy makes the next look happen at the given time or before.
func (w *worker) lookBy(at time.Time) {
	if at.Before(w.lookAt) {
		w.lookAt = at
	}
}

// look starts a look at the machine when one is due. There is never more than one at a time.
func (w *worker) look(ctx context.Context, now time.Time) {
	if w.looking || now.Before(w.lookAt) {
		return
	}
	w.looking, w.lookAt = true, now.Add(lookEvery)
	began, first := w.clock, !w.sighted
	w.running.Go(func() { w.inbox.putSighting(w.sight(ctx, began, first)) })
}

// sight lists what there is. Published ports are read once: from then on the worker knows what it published.
func (w *worker) sight(ctx context.Context, began uint64, first bool) sighting {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	s := sighting{began: began}
	var placesErr, portsErr error
	s.containers, s.runtimeErr = w.deps.Runtime.List(ctx)
	s.places, placesErr = w.deps.Network.List(ctx)
	if first {
		s.ports, portsErr = w.deps.Network.Published(ctx)
	}
	s.networkErr = errors.Join(placesErr, portsErr)
	return s
}

// absorbSighting compares what was seen with what is remembered. A replica with an action under way, or one since the look
// began, is left for the next look.
func (w *worker) absorbSighting(s sighting, now time.Time) {
	w.looking = false
	if err := errors.Join(s.runtimeErr, s.networkErr); err != nil {
		w.goBlind(err, now)
		if !w.sighted && s.networkErr == nil {
			w.presume(s)
		}
		return
	}
	w.blind = false
	if !w.sighted {
		w.sighted, w.presuming, w.node.published, w.node.attempted = true, false, s.ports, s.ports
		w.sweepLogs(s)
	}
	containers, places := s.byReplica()
	for id := range union(containers, places) {
		w.replica(id) // what nobody asked for becomes a replica that must stop
	}
	for id, r := range w.replicas {
		if _, busy := w.busy[id]; busy || w.changed[id] > s.began {
			w.lookBy(now.Add(afterAction))
			continue
		}
		w.tell(r, r.observe(containers[id], places[id]), now)
		if r.seen.doubted {
			w.lookBy(now.Add(afterAction))
		}
		w.followLogs(r)
	}
}

// followLogs goes on with the output of a process that an earlier life of the agent started.
func (w *worker) followLogs(r *replica) {
	if !r.running() {
		return
	}
	if err := w.deps.Logs.Follow(string(r.seen.container.ID)); err != nil {
		w.log.Warn("logs cannot be followed", "replica_id", r.id, "err", err)
	}
}

// goBlind goes on with what was seen last. Probes still run; nothing is stopped because it cannot be seen.
func (w *worker) goBlind(err error, now time.Time) {
	w.lookBy(now.Add(afterBlindness))
	if w.blind {
		return
	}
	w.blind = true
	w.log.Error("node cannot be observed", "err", err)
	w.reporter.event("node.blind", "", code.RuntimeUnavailable, err.Error())
}

func (s sighting) byReplica() (map[string][]runtime.Container, map[string]*network.Attachment) {
	containers, places := map[string][]runtime.Container{}, map[string]*network.Attachment{}
	for _, c := range s.containers {
		if id, _, ok := splitContainerID(c.ID); ok {
			containers[id] = append(containers[id], c)
		}
	}
	for _, p := range s.places {
		places[p.ReplicaID] = &p
	}
	return containers, places
}

// observe replaces what is known of the machine by what was seen, and returns what nobody here had done. A place is taken for
// one when this life of the agent has had it or a container was made in it: an earlier life may have been killed while it was
// making the place, and attaching again finishes that.
func (r *replica) observe(containers []runtime.Container, place *network.Attachment) []string {
	var drift []string
	before := r.seen
	r.seen.container, r.seen.others, r.seen.place, r.seen.address = nil, nil, nil, place != nil
	for _, c := range containers {
		r.sort(c)
	}
	r.doubt(before)
	if place.Whole() && (before.place != nil || r.seen.container != nil) {
		r.seen.place = place
	}
	if r.seen.container == nil && before.container != nil && !before.presumed {
		drift = append(drift, fmt.Sprintf("container %q had vanished", before.container.ID))
	}
	if r.seen.place == nil && before.place != nil {
		drift = append(drift, "the network namespace had vanished")
	}
	return drift
}

// doubt keeps a process that ran a moment ago and cannot be supervised now until a second look says the same: a runtime that
// answers wrongly once must not cost a replica.
func (r *replica) doubt(before observed) {
	was, is := before.container, r.seen.container
	r.seen.presumed, r.seen.doubted = false, false
	if was == nil || is == nil || is.State != runtime.StateUnknown || was.ID != is.ID || was.State != runtime.StateRunning {
		return
	}
	if !before.doubted && !before.presumed {
		r.seen.container, r.seen.doubted = was, true
	}
}

// sort files a container under the present attempt or the others. A higher attempt than remembered is adopted: the histories
// were lost.
func (r *replica) sort(c runtime.Container) {
	_, attempt, _ := splitContainerID(c.ID)
	if attempt > r.past.Attempt {
		if old := r.seen.container; old != nil {
			r.seen.others = append(r.seen.others, old.ID)
		}
		r.past.begin()
		r.past.Attempt = attempt
		r.seen.container = nil
	}
	if attempt < r.past.Attempt {
		r.seen.others = append(r.seen.others, c.ID)
		return
	}
	r.seen.container, r.past.Created = &c, true
}

// tell reports what an operator would ask about: drift, something of ours that nobody assigned, and out-of-memory kills.
func (w *worker) tell(r *replica, drift []string, now time.Time) {
	if r.want == nil && !r.assigned && !r.told && w.desired != nil {
		r.told = true
		drift = append(drift, "it was not assigned to this node and is removed")
	}
	for _, what := range drift {
		w.tellDrift("replica", r.id, what)
	}
	w.tellSilence(r)
	w.tellOOM(r, now)
}

// tellRepairs reports what the runtime ended by force, until ctx ends.
func (w *worker) tellRepairs(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case repair := <-w.deps.Repairs:
			id, _, _ := splitContainerID(repair.ID)
			w.tellDrift("runtime", id, repair.Detail)
		}
	}
}

// tellDrift makes an event, a count and a line in the log of a repair. It may be called from any goroutine.
func (w *worker) tellDrift(part, replica, what string) {
	w.deps.Metrics.drifted(part)
	w.reporter.event("node.drift", replica, code.DriftRepaired, fmt.Sprintf("replica %q: %s", replica, what))
	w.log.Warn("drift is repaired", "part", part, "replica_id", replica, "drift", what)
}

// tellOOM counts kills for memory. The end of the whole replica is in its status; that of a child alone is an event.
func (w *worker) tellOOM(r *replica, now time.Time) {
	c, last := r.seen.container, r.past.OOMAt
	if c == nil || !r.past.noteOOM(c.OOM, now) {
		return
	}
	w.unsaved = true
	why := oomCause(c.OOM)
	w.deps.Metrics.oomKilled()
	if r.running() && now.Sub(last) >= oomEvery {
		w.reporter.event("replica.oom", r.id, why.Code, why.Summary)
	}
	w.log.Warn("replica met its memory limit", "replica_id", r.id, "reason", why.Summary)
}

// tellSilence reports once that nobody supervises a process. It goes on: its probes say whether it is well, and ending it for
// the trouble of its supervisor would turn one fault into two.
func (w *worker) tellSilence(r *replica) {
	silent := r.seen.container != nil && r.seen.container.Silent
	if silent && !r.seen.silent {
		w.reporter.event("replica.silent", r.id, code.RuntimeUnavailable, fmt.Sprintf("the supervisor of container %q does not answer; its process goes on", r.seen.container.ID))
		w.log.Warn("supervisor of a replica does not answer", "replica_id", r.id, "container_id", r.seen.container.ID)
	}
	r.seen.silent = silent
}

// sweepLogs removes the logs of replicas that are neither assigned nor on the machine.
func (w *worker) sweepLogs(s sighting) {
	names, err := w.deps.Logs.Containers()
	if err != nil {
		w.log.Warn("logs were not swept", "err", err)
		return
	}
	containers, _ := s.byReplica()
	for _, name := range names {
		id, _, ok := splitContainerID(runtime.ContainerID(name))
		if ok && (w.desired == nil || w.desired.replicas[id] != nil) || containers[id] != nil {
			continue
		}
		if err := w.deps.Logs.Remove(name); err != nil {
			w.log.Warn("logs were not removed", "container_id", name, "err", err)
		}
	}
}

// watch wakes the worker whenever a container stirs. Its events may be lost: a look every few seconds does not depend on them.
func (w *worker) watch(ctx context.Context) {
	for ctx.Err() == nil {
		events, failed := w.deps.Runtime.Watch(ctx)
		for range events {
			w.inbox.putStir()
		}
		select {
		case err := <-failed:
			w.log.Warn("watch of the runtime ended", "err", err)
		default:
		}
		w.inbox.putStir()
		pause(ctx, watchPause)
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func without(ids []runtime.ContainerID, gone runtime.ContainerID) []runtime.ContainerID {
	return slices.DeleteFunc(slices.Clone(ids), func(id runtime.ContainerID) bool { return id == gone })
}

func union[A, B any](a map[string]A, b map[string]B) map[string]struct{} {
	all := make(map[string]struct{}, len(a)+len(b))
	for key := range a {
		all[key] = struct{}{}
	}
	for key := range b {
		all[key] = struct{}{}
	}
	return all
}
