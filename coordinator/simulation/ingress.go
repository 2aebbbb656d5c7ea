package simulation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/failpoint"
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
	acts  *actor
	// stopped ones neither beat nor take sets; mute ones beat.
	stopped, mute bool
	set           *runwayv1.RouteSet
	// routes are where it sends requests: addresses by replica.
	routes map[string]string
	// held are replicas with requests in flight, with when the last one is done.
	held map[string]time.Time
}

func newIngress(w *World, number int) *ingress {
	id := fmt.Sprintf("i%d", number)
	return &ingress{world: w, id: id, rand: w.random(id), held: map[string]time.Time{}}
}

func (i *ingress) registration() *runwayv1.RegisterIngress {
	return &runwayv1.RegisterIngress{Ingress: i.id, Name: i.id, Facts: &runwayv1.IngressFacts{SourceAddress: "10.0.1." + i.id[1:]}}
}

func (i *ingress) begin() { i.acts = i.world.turns.begin(i.run) }

// Stop freezes the process, or lets it go on.
func (i *ingress) Stop(stopped bool) {
	i.stopped = stopped
	i.acts.due = time.Now()
}

// Mute makes it take no sets while it goes on to beat.
func (i *ingress) Mute(mute bool) {
	i.mute = mute
	i.acts.due = time.Now()
}

// Kill ends the process, and with it the requests in flight. Stop(false) starts it
// again with the set on its disk.
func (i *ingress) Kill() {
	i.stopped, i.held = true, map[string]time.Time{}
}

func (i *ingress) holds(replica string) bool { return time.Now().Before(i.held[replica]) }

func (i *ingress) run() {
	t := &i.world.turns
	for {
		lead, elected := i.world.leader, i.world.elected
		if lead == nil || i.stopped {
			if !t.rest(time.Hour, elected) {
				return
			}
			continue
		}
		if !t.rest(between(i.rand, ackLow, ackHigh)) {
			return
		}
		if i.begun(lead) && !i.talk(lead) {
			return
		}
	}
}

// begun opens a connection to a leader. What was confirmed before it is taken back,
// as a new connection may come from a process that was restarted.
func (i *ingress) begun(lead *leader) bool {
	if lead.lost || i.stopped {
		return false
	}
	lead.hear(i.id)
	if i.world.View().Ingress(i.id) == nil {
		h := &hand{world: i.world, name: i.id, lead: lead}
		if _, err := h.write(i.registration()); err != nil {
			return false
		}
	}
	lead.presence.Unconfirm(i.id)
	return true
}

// talk beats, takes sets and confirms them until the connection ends. False: the
// world ends.
func (i *ingress) talk(lead *leader) bool {
	for !i.acts.ended && !i.stopped && i.world.leader == lead {
		lead.hear(i.id)
		set, changed := lead.endpoints.Current()
		if !i.mute && set != nil && !i.take(lead, set) {
			continue
		}
		if !i.world.turns.rest(i.nextHeld(), changed, i.world.elected) {
			return false
		}
	}
	lead.presence.Unconfirm(i.id)
	return !i.acts.ended
}

// take routes by a set after a while and confirms that, and what it still holds.
func (i *ingress) take(lead *leader, set *runwayv1.RouteSet) bool {
	ack := presence.Ack{Incarnation: set.GetIncarnation(), Generation: set.GetGeneration(), Saved: set.GetGeneration()}
	if i.set.GetGeneration() != set.GetGeneration() {
		if i.world.config.Break == failpoint.SkipAcknowledgement {
			lead.presence.AckRoutes(i.id, ack)
		}
		if !i.world.turns.rest(between(i.rand, ackLow, ackHigh)) || i.stopped || lead.lost {
			return false
		}
		i.swap(i.tamper(set))
	}
	ack.Held = i.holding()
	lead.presence.AckRoutes(i.id, ack)
	return true
}

func (i *ingress) swap(set *runwayv1.RouteSet) {
	i.world.checker.taken(i, set)
	now := endpointsOf(set)
	for _, id := range slices.Sorted(maps.Keys(i.routes)) {
		if now[id] == "" {
			hold := between(i.rand, ackLow, ackHigh)
			if i.rand.IntN(slowOdds) == 0 {
				hold = slowHold
			}
			i.held[id] = time.Now().Add(hold)
		}
	}
	i.set, i.routes = set, now
}

// holding returns the replicas with requests in flight, and forgets the others.
func (i *ingress) holding() []string {
	maps.DeleteFunc(i.held, func(_ string, done time.Time) bool { return !time.Now().Before(done) })
	return slices.Sorted(maps.Keys(i.held))
}

func (i *ingress) nextHeld() time.Duration {
	next := beat
	for _, done := range i.held {
		if wait := time.Until(done); wait > 0 {
			next = min(next, wait)
		}
	}
	return next
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
