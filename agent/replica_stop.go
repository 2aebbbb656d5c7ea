package agent

import (
	"time"

	"github.com/runway-platform/runway/proto/defaults"
)

const (
	// orphanGrace is that for something of ours that was never assigned: nobody sends it requests.
	orphanGrace = 10 * time.Second
	// killAgain is when SIGKILL is repeated: a process in an uninterruptible wait ends when its wait does.
	killAgain = 10 * time.Second
)

// stop takes a replica that must not run apart, in the order in which nothing dangles: the process before its container, the
// container before its node port, the node port before its address, which somebody else may get.
func (r *replica) stop(now time.Time) (action, bool) {
	if !r.leaving() {
		return action{}, false
	}
	switch {
	case r.running():
		return r.endProcess(now, r.grace()), true
	case r.seen.container != nil || r.past.Created:
		return action{do: doBury, container: r.containerID()}, true
	case r.seen.entered:
		return action{}, true // the worker's next map leaves it out
	case r.seen.address:
		return action{do: doDetach}, true
	case !r.assigned:
		return action{do: doForget}, true
	}
	return action{}, true
}

// endProcess sends SIGTERM, and SIGKILL when grace is over.
func (r *replica) endProcess(now time.Time, grace time.Duration) action {
	if !r.running() {
		return action{do: doBury, container: r.containerID()}
	}
	id := r.seen.container.ID
	if r.past.TermAt.IsZero() {
		return action{do: doTerminate, container: id}
	}
	deadline := r.past.TermAt.Add(grace)
	if !r.past.KillAt.IsZero() {
		deadline = r.past.KillAt.Add(killAgain)
	}
	if now.Before(deadline) {
		return waitUntil(deadline)
	}
	return action{do: doKill, container: id}
}

// recordStop remembers how the last attempt of a leaving replica ended.
func (r *replica) recordStop(now time.Time) {
	if c := r.seen.container; c != nil {
		r.past.ExitCode, r.past.OOM = c.ExitCode, r.past.diedOfMemory(c.OOM, endOf(c, now))
	}
	r.past.Created, r.seen.container = false, nil
	r.seen.forgetProbes()
}

func (r *replica) grace() time.Duration {
	if r.want == nil {
		return orphanGrace
	}
	if asked := r.spec().GetTerminationGrace(); asked != nil {
		return asked.AsDuration()
	}
	return defaults.TerminationGrace
}
