package agent

import (
	"time"

	"github.com/runway-platform/runway/proto/code"
)

// startBudget is how long a replica may take until it is ready for the first time, its pull included.
const startBudget = 5 * time.Minute

// judgeBudget gives up a replica that never was ready in time, with the best cause there is. One that was ready before is
// never given up: without a coordinator nobody would replace it.
func (r *replica) judgeBudget(now time.Time) (action, bool) {
	if r.past.WasReady || r.ready(now) || now.Before(r.past.FirstSeen.Add(startBudget)) {
		return action{}, false
	}
	if r.running() && !r.seen.sockets.fresh(now) {
		return action{do: doInspect, container: r.seen.container.ID}, true
	}
	return action{do: doFail, cause: r.bestCause().with(r.seen.sockets.evidence()...)}, true
}

func (r *replica) bestCause() *cause {
	switch {
	case r.seen.readiness.Ready:
		return newCause(code.NetworkFailed, "node port %d could not be published within %s", r.nodePort(), startBudget)
	case r.past.Trouble != nil:
		return r.past.Trouble
	case r.seen.complaint != nil:
		return probeCause(r.seen.readiness.Last)
	case r.past.LastCause != nil:
		return r.past.LastCause
	case !r.seen.image && r.seen.queued:
		return newCause(code.ImageSlow, "the image waited %s for its turn behind other pulls of this node", startBudget)
	case !r.seen.image:
		return newCause(code.ImageSlow, "the image was not pulled within %s", startBudget)
	}
	return newCause(code.ProbeTimeout, "not ready within %s", startBudget)
}

// pull makes the image present. An image that was removed since is found missing by create, which clears seen.image.
func (r *replica) pull(time.Time) (action, bool) {
	return action{do: doPull}, !r.seen.image && r.seen.container == nil
}
