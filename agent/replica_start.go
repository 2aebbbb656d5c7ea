package agent

import (
	"time"

	"github.com/runway-platform/runway/agent/runtime"
)

// attach gives the replica its namespace and address. They belong to the replica, not to the attempt: a restart in place keeps
// them. A process whose namespace is gone cannot be reached any more and must end.
func (r *replica) attach(time.Time) (action, bool) {
	if r.seen.place != nil {
		return action{}, false
	}
	if r.seen.container != nil {
		return action{do: doCondemn, cause: lostNamespace()}, r.past.Condemned == nil
	}
	return action{do: doAttach}, true
}

// start creates the container of the attempt once its back-off is over, and lets it run.
func (r *replica) start(now time.Time) (action, bool) {
	c := r.seen.container
	switch {
	case c == nil && now.Before(r.past.NotBefore):
		return waitUntil(r.past.NotBefore), true
	case c == nil:
		return action{do: doCreate, container: r.containerID()}, true
	case c.State == runtime.StateCreated:
		return action{do: doStart, container: c.ID}, true
	}
	return action{}, false
}
