package simulation

import (
	"iter"
	"math/rand/v2"
	"slices"
	"time"
)

// turns lets the actors of a world act, one at a time, each until it rests. Which of
// those that are due goes first is drawn, so that a seed gives the same order again.
type turns struct {
	random *rand.Rand
	actors []*actor
	// acting is whose turn it is; nil while the scenario acts.
	acting *actor
}

// actor is a coroutine: a controller, a machine, or something that happens later.
type actor struct {
	resume func() (struct{}, bool)
	end    func()
	pause  func(struct{}) bool
	ended  bool
	// due is when it acts again, or before when one of wakes is closed.
	due   time.Time
	wakes [2]<-chan struct{}
}

// begin adds an actor, which is due at once and ends when act returns.
func (t *turns) begin(act func()) *actor {
	a := &actor{due: time.Now()}
	a.resume, a.end = iter.Pull(func(pause func(struct{}) bool) {
		a.pause = pause
		act()
	})
	t.actors = append(t.actors, a)
	return a
}

// later does something once, after a while.
func (t *turns) later(wait time.Duration, do func()) {
	t.begin(do).due = time.Now().Add(wait)
}

// rest lets others act for a while, or until a channel is closed. False: the one that
// rests is to end.
func (t *turns) rest(most time.Duration, wakes ...<-chan struct{}) bool {
	a := t.acting
	if a.ended {
		return false
	}
	a.due, a.wakes = time.Now().Add(most), [2]<-chan struct{}{}
	copy(a.wakes[:], wakes)
	return a.pause(struct{}{})
}

// stop ends an actor that rests.
func (t *turns) stop(a *actor) {
	a.ended = true
	t.as(a, a.end)
	t.forget(a)
}

// stopAll ends everybody.
func (t *turns) stopAll() {
	for len(t.actors) > 0 {
		t.stop(t.actors[0])
	}
}

// until lets the actors act until done, and tells whether that was in time.
func (t *turns) until(done func() bool, most time.Duration) bool {
	for end := time.Now().Add(most); !done(); {
		a, next := t.choose(end)
		switch {
		case a != nil:
			t.turn(a)
		case !time.Now().Before(end):
			return false
		default:
			<-time.After(time.Until(next))
		}
	}
	return true
}

// choose draws one of those that are due; when nobody is, it returns when somebody
// will be.
func (t *turns) choose(end time.Time) (chosen *actor, next time.Time) {
	now, count := time.Now(), 0
	for _, a := range t.actors {
		if !a.isDue(now) {
			if a.due.Before(end) {
				end = a.due
			}
			continue
		}
		if count++; t.random.IntN(count) == 0 {
			chosen = a
		}
	}
	return chosen, end
}

func (a *actor) isDue(now time.Time) bool {
	return !now.Before(a.due) || closed(a.wakes[0]) || closed(a.wakes[1])
}

func (t *turns) turn(a *actor) {
	t.as(a, func() {
		if _, more := a.resume(); !more {
			t.forget(a)
		}
	})
}

func (t *turns) as(a *actor, do func()) {
	before := t.acting
	t.acting = a
	do()
	t.acting = before
}

func (t *turns) forget(a *actor) {
	t.actors = slices.DeleteFunc(t.actors, func(other *actor) bool { return other == a })
}

func closed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}
