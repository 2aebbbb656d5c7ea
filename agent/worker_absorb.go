package agent

import (
	"context"
	"errors"
	"time"

	"github.com/runway-platform/runway/agent/runtime"
)

const (
	// firstRetry and lastRetry bound the wait before a failed action is tried again. The last is short: what fails is mostly a
	// container runtime that restarts.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// absorb takes note of everything that came in.
func (w *worker) absorb(m mail, now time.Time) {
	if m.desired != nil {
		w.assign(m.desired, now)
	}
	for _, r := range m.results {
		w.absorbResult(r, now)
	}
	for _, u := range m.probes {
		w.absorbProbe(u)
	}
	for _, n := range m.node {
		w.absorbNode(n, now)
	}
	if m.sighting != nil {
		w.absorbSighting(*m.sighting, now)
	}
	if m.stirred {
		w.lookBy(now.Add(afterEvent))
	}
}

// assign makes a set the desired one.
func (w *worker) assign(desired *assignments, now time.Time) {
	if desired == nil {
		return
	}
	w.desired = desired
	for id, want := range desired.replicas {
		r := w.replica(id)
		if r.past.FirstSeen.IsZero() {
			r.past.FirstSeen = now
		}
		if !r.assigned || r.want.GetGoal() != want.GetGoal() {
			r.past.RetryAt = time.Time{} // what failed before may not matter any more
		}
		r.want, r.assigned = want, true
	}
	for id, r := range w.replicas {
		if desired.replicas[id] == nil && r.assigned {
			r.assigned, r.past.RetryAt = false, time.Time{}
		}
		w.tell(r, nil, now)
	}
	w.cancelPulls()
	w.unsaved = true
}

// cancelPulls ends pulls that nobody waits for any more.
func (w *worker) cancelPulls() {
	waiting := map[string]bool{}
	for _, r := range w.replicas {
		waiting[r.spec().GetImage().GetResolved()] = waiting[r.spec().GetImage().GetResolved()] || !r.leaving()
	}
	for image, cancel := range w.pulling {
		if !waiting[image] {
			cancel()
		}
	}
}

// replica returns the record of a replica, made when it is new. The start budget of one that was never ready begins anew with
// the agent.
func (w *worker) replica(id string) *replica {
	if r := w.replicas[id]; r != nil {
		return r
	}
	r := &replica{id: id, past: w.past[id]}
	delete(w.past, id)
	if !r.past.WasReady {
		r.past.FirstSeen = time.Time{}
	}
	w.replicas[id] = r
	return r
}

func (w *worker) absorbResult(out result, now time.Time) {
	w.deps.Metrics.stepped(out)
	if out.do == doPull {
		w.absorbPull(out, now)
		return
	}
	delete(w.busy, out.replica)
	r := w.replicas[out.replica]
	if r == nil {
		return
	}
	w.clock++
	w.changed[r.id] = w.clock
	w.lookBy(now.Add(afterAction))
	if out.err != nil {
		w.noteFailure(r, out, now)
		return
	}
	w.noteSuccess(r, out, now)
}

func (w *worker) absorbPull(out result, now time.Time) {
	if cancel := w.pulling[out.image]; cancel != nil {
		cancel()
		delete(w.pulling, out.image)
	}
	for _, r := range w.replicas {
		if r.seen.image || r.spec().GetImage().GetResolved() != out.image || r.leaving() {
			continue
		}
		if out.err != nil {
			w.noteFailure(r, out, now)
			continue
		}
		r.seen.image = true
		r.past.clearTrouble()
	}
}

// noteSuccess assumes of the machine what the action has just made of it; the next look confirms or corrects that.
func (w *worker) noteSuccess(r *replica, out result, now time.Time) {
	r.past.clearTrouble()
	w.unsaved = true
	switch out.do {
	case doAttach:
		r.seen.place, r.seen.address = &out.place, true
	case doCreate:
		r.past.Created = true
		r.seen.container = &runtime.Container{ID: out.container, State: runtime.StateCreated, CreatedAt: now}
	case doStart:
		w.noteStart(r, now)
	case doInspect:
		r.seen.sockets = out.sockets
	case doTerminate:
		r.past.TermAt = now
		w.lookBy(now.Add(afterEvent))
	case doKill:
		r.past.KillAt = now
		w.lookBy(now.Add(afterEvent))
	case doBury:
		w.noteBurial(r, out, now)
	case doDetach:
		r.seen.place, r.seen.address = nil, false
	}
}

func (w *worker) noteStart(r *replica, now time.Time) {
	if c := r.seen.container; c != nil && c.State == runtime.StateCreated {
		c.State, c.StartedAt = runtime.StateRunning, now
	}
	w.log.Info("replica started", "replica_id", r.id, "attempt", r.past.Attempt)
}

func (w *worker) noteBurial(r *replica, out result, now time.Time) {
	if out.container != r.containerID() {
		r.seen.others = without(r.seen.others, out.container)
		return
	}
	if r.leaving() {
		r.recordStop(now)
		return
	}
	r.recordEnding(r.seen.container, out.log, now, w.jitter)
	why := r.past.LastCause
	w.deps.Metrics.restarted(why.Code)
	if r.past.Failure != nil {
		w.fail(r, r.past.Failure)
		return
	}
	w.log.Warn("replica restarts", "replica_id", r.id, "attempt", r.past.Attempt, "reason", why.Summary)
}

// noteFailure schedules another try, and gives the replica up where none can help. A replica that was ready before is never
// given up: its image may be missing today and back tomorrow, and without a coordinator nobody would replace it.
func (w *worker) noteFailure(r *replica, out result, now time.Time) {
	h := &r.past
	if errors.Is(out.err, context.Canceled) { // by us, or by a runtime that is ending: no trouble of the replica's, and no hurry
		h.RetryAt = now.Add(w.jitter(firstRetry))
		return
	}
	h.Retries++
	h.RetryAt = now.Add(w.jitter(backOff(h.Retries, firstRetry, lastRetry)))
	h.Trouble = causeOf(out.err, out.do)
	w.log.Warn("replica step failed", "replica_id", r.id, "step", out.do, "attempt", h.Attempt, "tries", h.Retries, "err", out.err)
	if out.do == doCreate && errors.Is(out.err, runtime.ErrImageNotFound) {
		r.seen.image = false // removed since it was pulled
		return
	}
	if h.WasReady || r.leaving() || !terminal(out.err) || h.forgives(out.err) {
		return
	}
	w.fail(r, h.Trouble)
	h.RetryAt = time.Time{}
}
