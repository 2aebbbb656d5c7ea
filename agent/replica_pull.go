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
	return action{do: doFail, cause: r.bestCause()}, true
}

func (r *replica) bestCause() *cause {
	if r.seen.readiness.Ready {
		return newCause(code.NetworkFailed, "node port %d could not be published within %s", r.nodePort(), startBudget)
	}
	for _, known := range []*cause{r.past.Trouble, r.seen.complaint, r.past.LastCause} {
		if known != nil {
			return known
		}
	}
	return newCause(code.ProbeTimeout, "not ready within %s", startBudget)
}

// pull makes the image present. An image that was removed since is found missing by create, which clears seen.image.
func (r *replica) pull(time.Time) (action, bool) {
	return action{do: doPull}, !r.seen.image && r.seen.container == nil
}
