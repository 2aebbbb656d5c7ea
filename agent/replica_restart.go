package agent

import (
	"errors"
	"time"

	"github.com/runway-platform/runway/agent/probe"
	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/proto/code"
)

const (
	// maxEarlyExits before it was ever ready fail a replica: one exit may be bad luck, two are a bad revision.
	maxEarlyExits = 2
	// maxRefusals of its containers by the runtime fail a replica that was never ready: a shim that is killed at work is told in
	// the same words as a container that cannot be, so that the first one may be somebody's kill.
	maxRefusals = 2
	// firstBackOff and lastBackOff bound the wait before an attempt. The first is short, for most crashes are single; with the last
	// fifty crash-looping replicas begin an attempt every 1.8 s on average, which keeps the agent below 2 % of a core.
	firstBackOff = 500 * time.Millisecond
	lastBackOff  = 2 * time.Minute
	// healthyAfter is how long an attempt must be ready for earlier crashes to be forgotten.
	healthyAfter = 10 * time.Minute
	// loopAfter is how many crashes in a row are called a loop.
	loopAfter = 3
	// condemnedGrace is how long a condemned process may take to end: it was found unable to serve, so waiting for a long
	// grace period would only prolong the outage.
	condemnedGrace = 10 * time.Second
	// oomLinger is how long after the kill of one of its processes the end of the whole is put down to it.
	oomLinger = 10 * time.Second
	// oomEvery is how often kills of a replica's children are events; some lose one each second.
	oomEvery = 10 * time.Minute
)

// restart ends a condemned attempt and buries one that has ended. recordEnding then decides about the next.
func (r *replica) restart(now time.Time) (action, bool) {
	if r.ended() {
		return action{do: doBury, container: r.containerID()}, true
	}
	if r.past.Condemned == nil {
		return action{}, false
	}
	return r.endProcess(now, min(condemnedGrace, r.grace())), true
}

// recordEnding remembers how the present attempt ended and begins the next one. c is nil when the container had vanished.
func (r *replica) recordEnding(c *runtime.Container, evidence []string, now time.Time, jitter func(time.Duration) time.Duration) {
	h := &r.past
	outOfMemory := c != nil && h.diedOfMemory(c.OOM, endOf(c, now))
	why := endingCause(c, h.Condemned, outOfMemory).with(r.lastAnswer()...).with(evidence...)
	h.ExitCode, h.OOM = 0, outOfMemory
	if c != nil {
		h.ExitCode = c.ExitCode
	}
	h.Crashes++
	if !h.WasReady && c != nil && c.State == runtime.StateExited {
		h.EarlyExits++
		if why.Code == code.CrashLoop {
			why.Code = code.ExitedDuringStart
		}
	}
	h.LastCause = why
	if h.EarlyExits >= maxEarlyExits && !h.WasReady {
		h.Failure = why
	}
	h.NotBefore = now.Add(jitter(backOff(h.Crashes, firstBackOff, lastBackOff)))
	h.begin()
	r.seen.container, r.seen.sockets = nil, nil
	r.seen.forgetProbes()
}

// forgives counts a refusal, and tells whether it may be tried again all the same.
func (h *history) forgives(err error) bool {
	if !errors.Is(err, runtime.ErrRefused) {
		return false
	}
	h.Refusals++
	return h.Refusals < maxRefusals
}

func endingCause(c *runtime.Container, condemned *cause, outOfMemory bool) *cause {
	switch {
	case outOfMemory:
		return oomCause(c.OOM)
	case condemned != nil:
		return condemned
	case c == nil:
		return newCause(code.ContainerFailed, "the container vanished from the runtime")
	case c.State == runtime.StateUnknown:
		return newCause(code.ContainerFailed, "the runtime lost the container")
	}
	return newCause(code.CrashLoop, "exited with code %d after %s", c.ExitCode, lifetime(c))
}

// lastAnswer is what the attempt last said when it was asked whether it is well. A refused connection explains nothing: it may
// be the end itself that was met.
func (r *replica) lastAnswer() []string {
	if r.past.Condemned != nil {
		return nil // the cause has it
	}
	for _, last := range []*probe.Result{&r.seen.readiness.Last, r.seen.complaint} {
		if last != nil && last.Status != "" && !last.Passed {
			return last.Lines()
		}
	}
	return nil
}

// endOf is when the container ended, as far as that is known.
func endOf(c *runtime.Container, otherwise time.Time) time.Time {
	if c.FinishedAt.IsZero() {
		return otherwise
	}
	return c.FinishedAt
}

func lifetime(c *runtime.Container) time.Duration {
	return c.FinishedAt.Sub(c.StartedAt).Round(time.Millisecond)
}

func oomCause(oom runtime.OOM) *cause {
	return newCause(code.OutOfMemory, "killed at its memory limit of %s; peak %s; give it %s or more",
		mebibytes(oom.Limit), mebibytes(oom.Peak), mebibytes(oom.Limit+oom.Limit/2))
}

// noteOOM counts kills of the present attempt and reports whether there are new ones.
func (h *history) noteOOM(oom runtime.OOM, now time.Time) bool {
	if oom.Kills <= h.OOMKills {
		return false
	}
	h.OOMKills, h.OOMAt = oom.Kills, now
	return true
}

// diedOfMemory reports whether an attempt ended by its memory limit. The kernel's count lasts as long as the attempt: the kill of
// a child in the morning does not explain an exit in the evening.
func (h *history) diedOfMemory(oom runtime.OOM, at time.Time) bool {
	return oom.Kills > h.OOMKills || oom.Kills > 0 && at.Sub(h.OOMAt) <= oomLinger
}

func lostNamespace() *cause {
	return newCause(code.NetworkFailed, "the replica's network namespace is gone")
}

// backOff doubles with each crash in a row.
func backOff(crashes int, first, last time.Duration) time.Duration {
	delay := first
	for range crashes - 1 {
		if delay >= last {
			return last
		}
		delay *= 2
	}
	return min(delay, last)
}

// settle takes note of changes of readiness, which no action causes. It reports whether anything changed.
func (r *replica) settle(now time.Time) bool {
	h := &r.past
	ready := r.ready(now)
	switch {
	case ready && h.ReadySince.IsZero():
		h.ReadySince, h.WasReady = now, true
		if h.ReadyAt.IsZero() {
			h.ReadyAt = now
		}
		h.clearTrouble()
		return true
	case !ready && !h.ReadySince.IsZero():
		h.ReadySince = time.Time{}
		return true
	case ready && h.Crashes > 0 && now.Sub(h.ReadySince) >= healthyAfter:
		h.Crashes, h.LastCause = 0, nil
		return true
	}
	return false
}
