package simulation

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/runway-platform/runway/coordinator/presence"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Ingresses take a set after ackLow to ackHigh, and finish requests to a replica
// that left within the same time, one in slowOdds only long after the drain deadline.
const (
	ackLow   = time.Millisecond
	ackHigh  = 300 * time.Millisecond
	slowOdds = 50
	slowHold = 40 * time.Second
)

// ingress is a process that routes by the last set it took.
type ingress struct {
	world *World
	id    string
	rand  *rand.Rand
	wake  chan struct{}

	mu sync.Mutex
	// stopped ones neither beat nor take sets; mute ones beat.
	stopped, mute bool
	set           *runwayv1.RouteSet
	// held are replicas with requests in flight, with when the last one is done.
	held map[string]time.Time
}

func newIngress(w *World, number int) *ingress {
	id := fmt.Sprintf("i%d", number)
	return &ingress{world: w, id: id, rand: w.random(id), wake: make(chan struct{}, 1), held: map[string]time.Time{}}
}

func (i *ingress) registration() *runwayv1.RegisterIngress {
	return &runwayv1.RegisterIngress{Ingress: i.id, Name: i.id, Facts: &runwayv1.IngressFacts{SourceAddress: "10.0.1." + i.id[1:]}}
}

// Stop freezes the process, or lets it go on.
func (i *ingress) Stop(stopped bool) {
	i.mu.Lock()
	i.stopped = stopped
	i.mu.Unlock()
	i.nudge()
}

// Mute makes it take no sets while it goes on to beat.
func (i *ingress) Mute(mute bool) {
	i.mu.Lock()
	i.mute = mute
	i.mu.Unlock()
	i.nudge()
}

func (i *ingress) nudge() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// routes returns where it sends requests: addresses by replica.
func (i *ingress) routes() map[string]string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return endpointsOf(i.set)
}

func (i *ingress) holds(replica string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return time.Now().Before(i.held[replica])
}

func (i *ingress) frozen() (stopped, mute bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.stopped, i.mute
}

func (i *ingress) run(ctx context.Context) {
	for ctx.Err() == nil {
		lead, elected := i.world.leading()
		if stopped, _ := i.frozen(); lead == nil || stopped {
			i.wait(ctx, time.Hour, elected, nil)
			continue
		}
		i.session(ctx, lead, elected)
	}
}

// session is one connection to a leader. What was confirmed before it is taken back,
// as a new connection may come from a process that was restarted.
func (i *ingress) session(ctx context.Context, lead *leader, elected <-chan struct{}) {
	if !sleep(ctx, between(i.rand, ackLow, ackHigh)) {
		return
	}
	lead.presence.Beat(i.id, time.Now())
	if phase := i.world.View().Ingress(i.id).GetStatus().GetPhase(); phase != runwayv1.IngressPhase_INGRESS_PHASE_LIVE {
		if _, err := i.world.Apply(ctx, i.registration()); err != nil && ctx.Err() == nil {
			i.world.t.Errorf("ingress %s: %v", i.id, err)
		}
	}
	lead.presence.AckRoutes(i.id, presence.Ack{Incarnation: i.incarnation()})
	for ctx.Err() == nil {
		stopped, mute := i.frozen()
		if now, _ := i.world.leading(); stopped || now != lead {
			return
		}
		lead.presence.Beat(i.id, time.Now())
		set, changed := lead.endpoints.Current()
		if !mute && set != nil && !i.take(ctx, lead, set) {
			return
		}
		i.wait(ctx, i.nextHeld(), elected, changed)
	}
}

// take routes by a set after a while and confirms that, and what it still holds.
func (i *ingress) take(ctx context.Context, lead *leader, set *runwayv1.RouteSet) bool {
	ack := presence.Ack{Incarnation: set.GetIncarnation(), Generation: set.GetGeneration()}
	if i.generation() != set.GetGeneration() {
		if i.world.config.Break == SkipAcknowledgement {
			lead.presence.AckRoutes(i.id, ack)
		}
		if !sleep(ctx, between(i.rand, ackLow, ackHigh)) {
			return false
		}
		if stopped, _ := i.frozen(); stopped {
			return false
		}
		i.world.checker.taken(i, set)
		i.swap(set)
	}
	ack.Held = i.holding()
	lead.presence.AckRoutes(i.id, ack)
	return true
}

func (i *ingress) swap(set *runwayv1.RouteSet) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := endpointsOf(set)
	for _, id := range slices.Sorted(maps.Keys(endpointsOf(i.set))) {
		if now[id] == "" {
			hold := between(i.rand, ackLow, ackHigh)
			if i.rand.IntN(slowOdds) == 0 {
				hold = slowHold
			}
			i.held[id] = time.Now().Add(hold)
		}
	}
	i.set = set
}

func (i *ingress) incarnation() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.set.GetIncarnation()
}

func (i *ingress) generation() uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.set.GetGeneration()
}

// holding returns the replicas with requests in flight, and forgets the others.
func (i *ingress) holding() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	maps.DeleteFunc(i.held, func(_ string, done time.Time) bool { return !time.Now().Before(done) })
	return slices.Sorted(maps.Keys(i.held))
}

func (i *ingress) nextHeld() time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	next := beat
	for _, done := range i.held {
		if wait := time.Until(done); wait > 0 {
			next = min(next, wait)
		}
	}
	return next
}

func (i *ingress) wait(ctx context.Context, most time.Duration, elected, changed <-chan struct{}) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-elected:
	case <-changed:
	case <-i.wake:
	case <-timer.C:
	}
}

func endpointsOf(set *runwayv1.RouteSet) map[string]string {
	addresses := map[string]string{}
	for _, route := range set.GetRoutes() {
		for _, e := range route.GetEndpoints() {
			addresses[e.GetReplica()] = e.GetAddress()
		}
	}
	return addresses
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
