// Package presence is what only the leader remembers: who was heard of when, which
// routes each ingress confirmed, and what it served. Nothing of it is replicated; a
// new leader begins with an empty memory and fresh timers.
package presence

import (
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// maxMachines bounds what is remembered. It is far above the nodes and ingresses
	// of any cluster that this design serves.
	maxMachines = 50_000
	// maxHeld bounds the replicas that one ingress may say it still uses.
	maxHeld = 100_000
)

// Ack is what one ingress confirmed last.
type Ack struct {
	// Incarnation of the cluster that the generation belongs to.
	Incarnation string
	// Generation by which every request is routed from then on; 0 confirms nothing.
	Generation uint64
	// Stopping says that the ingress was asked to stop: nobody is to be sent to it.
	Stopping bool
	// Saved is the generation that a restart would serve from its disk.
	Saved uint64
	// Held are replicas without a route that still have requests in flight there.
	Held []string
	// Problems are what it does not serve, and Omitted how many more there are.
	Problems []*runwayv1.RouteProblem
	Omitted  uint32
	// Refusal is the set that it does not take; nil when there is none.
	Refusal *runwayv1.RouteRefusal
}

// Answers tells whether the ingress has said anything of its routes in its session.
func (a Ack) Answers() bool { return a.Generation != 0 || a.Refusal != nil }

// Standing is how far an ingress follows the routes.
type Standing struct {
	// Name of the ingress.
	Name string
	// Generation that it has confirmed in its present session, Saved the one that it
	// has on disk; 0 for none.
	Generation, Saved uint64
	// Since is since when it owes the confirmation of a generation; zero when it owes
	// none.
	Since time.Time
	// Refuses tells that it does not take the routes.
	Refuses bool
	// Behind tells that it routes to a replica which all live ingresses gave up.
	Behind bool
	// Seen is the index of the state that all this was true of.
	Seen uint64
}

// Follows tells whether the ingress has confirmed routes in its session, refuses none and
// routes to no replica that the live ones gave up.
func (s Standing) Follows() bool { return s.Generation != 0 && !s.Refuses && !s.Behind }

// Presence is the leader's memory. Safe for concurrent use.
type Presence struct {
	mu      sync.Mutex
	since   time.Time
	beats   map[string]time.Time
	acks    map[string]Ack
	tallies tallies
	recent  map[state.WorkloadID]*recent
	// swept is the slot in which recent was looked through for room last.
	swept   time.Time
	changed chan struct{}
}

// New returns an empty memory. Reset it when leadership begins.
func New() *Presence {
	p := &Presence{changed: make(chan struct{}), tallies: newTallies()}
	p.Reset(time.Time{})
	return p
}

// Reset forgets everything. Machines that have not been heard of since count as
// heard of now, so that an election never looks like a mass failure.
func (p *Presence) Reset(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = now
	p.beats = map[string]time.Time{}
	p.acks = map[string]Ack{}
	p.tallies.end()
	p.tallies = newTallies()
	p.recent, p.swept = map[state.WorkloadID]*recent{}, time.Time{}
	p.wake()
}

// Beat records a sign of life of a node or an ingress. An older one than the last
// changes nothing.
func (p *Presence) Beat(id string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, known := p.beats[id]
	if !known && len(p.beats) >= maxMachines || at.Before(last) {
		return
	}
	p.beats[id] = at
}

// LastBeat returns when a machine was heard of last; before its first beat, when
// this leader began.
func (p *Presence) LastBeat(id string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.beats[id]; ok {
		return at
	}
	return p.since
}

// Heard tells whether a machine was heard of since this leader began.
func (p *Presence) Heard(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.beats[id]
	return ok
}

// AckRoutes replaces what an ingress confirmed. A lower generation than before is
// taken as it is: the ingress was restarted and routes by its older copy.
func (p *Presence) AckRoutes(ingress string, ack Ack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, known := p.acks[ingress]
	if !known && len(p.acks) >= maxMachines || len(ack.Held) > maxHeld || known && equal(last, ack) {
		return
	}
	ack.Held = slices.Clone(ack.Held)
	p.acks[ingress] = ack
	p.wake()
}

// Unconfirm takes back what an ingress confirmed, because its session ended: what
// it routes by is unknown until the next one. The incarnation stays, as it has had a
// set of it, and that it was asked to stop.
func (p *Presence) Unconfirm(ingress string) {
	p.mu.Lock()
	last := p.acks[ingress]
	p.mu.Unlock()
	p.AckRoutes(ingress, Ack{Incarnation: last.Incarnation, Stopping: last.Stopping})
}

// Acks returns the last confirmation of each ingress by its ID. The map belongs to
// the caller; the slices in it must not be changed.
func (p *Presence) Acks() map[string]Ack {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.acks)
}

// Changed returns a channel that is closed at the next change of a confirmation.
// Beats do not close it: they come every second from everybody.
func (p *Presence) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// Forget removes a machine that was removed from the cluster.
func (p *Presence) Forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.beats, id)
	delete(p.acks, id)
	p.tallies.forget(id)
	p.wake()
}

func (p *Presence) wake() { wakeAll(&p.changed) }

func equal(a, b Ack) bool {
	return a.Incarnation == b.Incarnation && a.Stopping == b.Stopping && a.Generation == b.Generation && a.Saved == b.Saved && a.Omitted == b.Omitted &&
		slices.Equal(a.Held, b.Held) && proto.Equal(a.Refusal, b.Refusal) &&
		slices.EqualFunc(a.Problems, b.Problems, func(x, y *runwayv1.RouteProblem) bool { return proto.Equal(x, y) })
}
