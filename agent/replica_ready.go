package agent

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/runway-platform/runway/agent/probe"
	"github.com/runway-platform/runway/proto/code"
)

const (
	// bindBudget is how long a process may live without listening on its port, when no startup probe says otherwise.
	bindBudget = 30 * time.Second
	// workerSettle is how long a replica without a port must run to count as ready: a command that ends at once never was.
	workerSettle = time.Second
	// evidenceAge is how old a look at the sockets may be to judge by.
	evidenceAge = time.Second
	// shownSockets is how many sockets are named in a cause.
	shownSockets = 16
)

// sockets is what the replica's namespace listened on at one moment, with the end of its log. err says why the sockets could
// not be read.
type sockets struct {
	at        time.Time
	listening []netip.AddrPort
	err       error
	log       []string
}

// fresh reports whether there is a look that is new enough to judge by.
func (s *sockets) fresh(now time.Time) bool { return s != nil && now.Sub(s.at) <= evidenceAge }

// text names the sockets, at most shownSockets of them.
func (s *sockets) text() string {
	switch {
	case s.err != nil:
		return s.err.Error()
	case len(s.listening) == 0:
		return "nothing"
	}
	var names []string
	for _, address := range s.listening[:min(len(s.listening), shownSockets)] {
		names = append(names, address.String())
	}
	if more := len(s.listening) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// evidence is nothing when there was no look.
func (s *sockets) evidence() []string {
	if s == nil {
		return nil
	}
	return append([]string{"sockets: " + s.text()}, s.log...)
}

// ready is true while requests may be sent to the replica: it runs, its node port leads to it, and it passes its probe.
func (r *replica) ready(now time.Time) bool {
	if !r.running() || r.past.Condemned != nil || r.leaving() {
		return false
	}
	if r.port() == 0 {
		return !now.Before(r.seen.container.StartedAt.Add(workerSettle))
	}
	return r.seen.readiness.Ready && r.isPublished()
}

// isPublished is true for a replica without a node port, too: it has no endpoint.
func (r *replica) isPublished() bool { return r.want.GetNodePort() == 0 || r.seen.published }

// proveReady waits for an attempt to become ready, and decides when it never will.
func (r *replica) proveReady(now time.Time) (action, bool) {
	if !r.running() || r.past.Condemned != nil || r.ready(now) || !r.past.ReadyAt.IsZero() {
		return action{}, false
	}
	if r.port() == 0 {
		return waitUntil(r.seen.container.StartedAt.Add(workerSettle)), true
	}
	deadline := r.seen.container.StartedAt.Add(r.probeBudget())
	if r.seen.readiness.Ready {
		return action{}, true // it passes; the worker is publishing its node port
	}
	if now.Before(deadline) {
		return waitUntil(deadline), true
	}
	if !r.seen.sockets.fresh(now) {
		return action{do: doInspect, container: r.seen.container.ID}, true
	}
	return r.judgeStart(now)
}

// judgeStart decides by what the process listens on. A default probe that fails says little about a slow service, so only
// the start budget ends that.
func (r *replica) judgeStart(now time.Time) (action, bool) {
	switch {
	case r.seen.sockets.err != nil: // looked at again until it can be read, or the process has ended
	case !probe.Reachable(r.seen.sockets.listening, r.port()):
		return r.giveUp(r.unboundCause()), true
	case r.spec().GetStartupProbe().GetDeclared() && r.seen.complaint != nil:
		return r.giveUp(probeCause(r.seen.readiness.Last).with(r.seen.sockets.evidence()...)), true
	}
	return waitUntil(now.Add(evidenceAge)), true
}

// giveUp fails a replica that never was ready. One that was before gets another attempt.
func (r *replica) giveUp(why *cause) action {
	if r.past.WasReady {
		return action{do: doCondemn, cause: why}
	}
	return action{do: doFail, cause: why}
}

// probeBudget is the time from the start of the process in which it must pass.
func (r *replica) probeBudget() time.Duration {
	p := r.spec().GetStartupProbe()
	if !p.GetDeclared() {
		return bindBudget
	}
	spec := probeSpec(p, r.spec().GetProtocol())
	return spec.InitialDelay + spec.Period*time.Duration(spec.FailureThreshold)
}

func (r *replica) unboundCause() *cause {
	why := newCause(code.PortNeverBound, "port %d was not listened on within %s; listening: %s", r.port(), r.probeBudget(), r.seen.sockets.text())
	if last := r.seen.readiness.Last; last.Asked != "" {
		why = why.with(last.Lines()...)
	}
	return why.with(r.seen.sockets.evidence()...)
}

// keepAlive ends an attempt that its liveness probe finds dead, and looks again when an attempt has been well for long.
func (r *replica) keepAlive(now time.Time) (action, bool) {
	if !r.running() || r.past.Condemned != nil {
		return action{}, false
	}
	if r.seen.liveness.Failing {
		why := probeCause(r.seen.liveness.Last)
		why.Code = code.LivenessFailed
		return action{do: doCondemn, cause: why}, true
	}
	if r.past.Crashes > 0 && !r.past.ReadySince.IsZero() {
		return waitUntil(r.past.ReadySince.Add(healthyAfter)), true
	}
	return action{}, false
}
