package agent

import (
	"time"

	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/probe"
	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/failpoint"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// replica is all that is known of one replica on this node: what is desired, what is observed, and what happened so far. The
// worker owns it.
type replica struct {
	id string
	// want is the last assignment; nil for something of ours that was never assigned. assigned is false once it is not in the
	// set any more.
	want     *runwayv1.Assignment
	assigned bool
	// told is true once it was reported as something that nobody assigned.
	told bool
	seen observed
	past history
}

// observed is what the machine has of a replica.
type observed struct {
	// image is true once the image was pulled in this life of the agent; until then queued says that its pull waits for others.
	image, queued bool
	// place is nil unless the replica has a network namespace. address is true when an address is reserved for it.
	place   *network.Attachment
	address bool
	// published is true when the node port leads to the replica, entered when it may: a map with it is being written, or an
	// attempt to write one failed.
	published, entered bool
	// container is the one of the present attempt, others are those of earlier ones.
	container *runtime.Container
	others    []runtime.ContainerID
	// presumed is true while the container was not seen in this life of the agent, doubted while it was seen once to be lost, and
	// silent once it was reported that its supervisor does not answer.
	presumed, doubted, silent bool
	// readiness and liveness are the newest verdicts of the probes on the present attempt. complaint is the answer that is shown
	// while the replica fails its probe; it is not replaced by each one that reads differently.
	readiness, liveness probe.Verdict
	complaint           *probe.Result
	sockets             *sockets
}

// verb is what an action does.
type verb string

// The verbs. The first three change only what the agent remembers; the others are carried out by the executor.
const (
	doNothing   verb = ""
	doFail      verb = "fail"
	doCondemn   verb = "condemn"
	doForget    verb = "forget"
	doPull      verb = "pull"
	doAttach    verb = "attach"
	doCreate    verb = "create"
	doStart     verb = "start"
	doInspect   verb = "inspect"
	doTerminate verb = "terminate"
	doKill      verb = "kill"
	doBury      verb = "bury"
	doDetach    verb = "detach"
)

// action is one thing to do for a replica now.
type action struct {
	do verb
	// container that it is done to.
	container runtime.ContainerID
	// cause of doFail and doCondemn.
	cause *cause
	// until is when to look again if nothing else happens; zero means not by time.
	until time.Time
}

// waitUntil is the action of waiting.
func waitUntil(at time.Time) action { return action{until: at} }

// lifeCycle is the state machine of a replica, in order. Each stage looks at what is desired and observed and either decides
// or leaves it to the next. One stage decides one action; what it leads to is seen the next time.
//
//	pull -> attach -> create -> start -> prove ready -> keep alive
//	  \________\_________\________\___________\____________\___-> stop: SIGTERM, grace, SIGKILL, bury, unpublish, detach
//	an attempt that ends is buried, and the next one begins at create after its back-off
var lifeCycle = []struct {
	stage  string
	decide func(r *replica, now time.Time) (action, bool)
}{
	{"retry", (*replica).awaitRetry},
	{"clear", (*replica).clearOthers},
	{"stop", (*replica).stop},
	{"restart", (*replica).restart},
	{"budget", (*replica).judgeBudget},
	{"pull", (*replica).pull},
	{"attach", (*replica).attach},
	{"start", (*replica).start},
	{"prove", (*replica).proveReady},
	{"keep", (*replica).keepAlive},
}

// step decides what to do for a replica now, and what to report of it. It is pure: same replica, same time, same answer.
func step(r *replica, now time.Time) (action, *runwayv1.ReplicaStatus) {
	for _, stage := range lifeCycle {
		if next, decided := stage.decide(r, now); decided {
			return next, r.status(now)
		}
	}
	return action{}, r.status(now)
}

// containerID is the container of the present attempt.
func (r *replica) containerID() runtime.ContainerID {
	return runtime.NewContainerID(r.id, r.past.Attempt)
}

func (r *replica) goal() runwayv1.Goal {
	goal := r.want.GetGoal()
	if !r.assigned || failpoint.Planted == failpoint.StopFirst && goal == runwayv1.Goal_GOAL_DRAIN {
		return runwayv1.Goal_GOAL_STOP
	}
	return goal
}

func (r *replica) spec() *runwayv1.RevisionSpec { return r.want.GetSpec() }

func (r *replica) port() uint16 { return uint16(r.spec().GetContainerPort()) }

// running is true while the process of the present attempt lives.
func (r *replica) running() bool {
	return r.seen.container != nil && r.seen.container.State == runtime.StateRunning
}

// ended is true when the present attempt had a container and can no longer run: it exited, its shim was lost, or somebody
// removed it.
func (r *replica) ended() bool {
	c := r.seen.container
	if c == nil {
		return r.past.Created
	}
	return c.State == runtime.StateExited || c.State == runtime.StateUnknown
}

// leaving is true once the replica must not run any more. A draining replica that ended has nothing left to drain.
func (r *replica) leaving() bool {
	switch r.goal() {
	case runwayv1.Goal_GOAL_SERVE:
		return r.past.Failure != nil
	case runwayv1.Goal_GOAL_DRAIN:
		return r.past.Failure != nil || r.ended() || !r.past.Created && r.seen.container == nil
	}
	return true
}

// gone is true when nothing of the replica is left on the machine.
func (r *replica) gone() bool {
	return r.seen.container == nil && !r.past.Created && len(r.seen.others) == 0 && !r.seen.entered && !r.seen.address
}

func (r *replica) awaitRetry(now time.Time) (action, bool) {
	return waitUntil(r.past.RetryAt), now.Before(r.past.RetryAt)
}

// clearOthers buries containers of attempts that are over: a crash of the agent may leave one.
func (r *replica) clearOthers(time.Time) (action, bool) {
	if len(r.seen.others) == 0 {
		return action{}, false
	}
	return action{do: doBury, container: r.seen.others[0]}, true
}
