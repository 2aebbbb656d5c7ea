package probe

import "time"

const (
	// neededSuccesses is how many good answers in a row make a replica ready: one may come from a process that is about to
	// crash.
	neededSuccesses = 2
	// confirmDelay is the time between the first good answer and the next: long enough for a crash to show, short beside the
	// time a container takes to start.
	confirmDelay = 5 * time.Millisecond
	// Before a replica is ready it is asked every eager, for eagerFor: most services listen within that, and a refused
	// connection costs less than a deployment that waits. After that fastest and slowest bound the time between questions.
	eager    = 5 * time.Millisecond
	eagerFor = 100 * time.Millisecond
	fastest  = 20 * time.Millisecond
	slowest  = time.Second
	// lateness is the share of its start time by which a slow process may be noticed late: 1/50 keeps the questions few.
	lateness = 50
)

// Verdict is what the answers so far mean.
type Verdict struct {
	// Ready after two good answers in a row, until FailureThreshold bad ones.
	Ready bool
	// Failing after FailureThreshold bad answers in a row.
	Failing bool
	// Last is the newest answer; its zero value means none yet.
	Last Result
}

// tracker turns answers into a verdict and says when to ask again. It has no clock.
type tracker struct {
	spec      Spec
	verdict   Verdict
	successes int
	failures  int
}

func (t *tracker) add(r Result) Verdict {
	t.verdict.Last = r
	if r.Passed {
		t.successes, t.failures = t.successes+1, 0
		t.verdict.Ready = t.verdict.Ready || t.successes >= neededSuccesses
		t.verdict.Failing = false
		return t.verdict
	}
	t.successes, t.failures = 0, t.failures+1
	if t.failures >= max(1, t.spec.FailureThreshold) {
		t.verdict.Ready, t.verdict.Failing = false, true
	}
	return t.verdict
}

// delay returns the time until the next question, asking for elapsed already.
func (t *tracker) delay(elapsed time.Duration) time.Duration {
	switch {
	case t.verdict.Ready, t.spec.Steady:
		return t.spec.Period
	case t.successes > 0:
		return confirmDelay
	case elapsed < eagerFor:
		return min(eager, t.spec.Period)
	}
	return min(max(elapsed/lateness, fastest), slowest, t.spec.Period)
}
