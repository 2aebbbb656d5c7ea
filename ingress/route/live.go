package route

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of a Live table.
var (
	// ErrUnknownHost means that no workload has the name in this scope.
	ErrUnknownHost = errors.New("no route for this name")
	// ErrNoReplica means that the workload has no replica left to try.
	ErrNoReplica = errors.New("no replica to route to")
	// ErrStale means that a set is not newer than the table.
	ErrStale = errors.New("set is older than the table")
	// ErrForeign means that a difference belongs to another incarnation.
	ErrForeign = errors.New("difference of another incarnation")
	// ErrTooLarge means that a set is beyond MaxRoutes.
	ErrTooLarge = errors.New("set has too many routes")
)

// Live is the table that requests are routed by. Lookups are lock-free; sets are
// applied one after the other. The zero value is not usable, see NewLive.
type Live struct {
	table atomic.Pointer[Table]
	freed chan struct{}

	mu    sync.Mutex // guards loads and serialises Apply
	loads map[ReplicaID]*load
}

// NewLive returns an empty table of no incarnation.
func NewLive() *Live {
	l := &Live{freed: make(chan struct{}, 1), loads: map[ReplicaID]*load{}}
	l.table.Store(&Table{})
	return l
}

// Table returns the table of this moment.
func (l *Live) Table() *Table { return l.table.Load() }

// Apply makes the next table and swaps it in. When it returns nil, every later
// Acquire uses the set. On an error the old table stays as it was.
func (l *Live) Apply(set Set) ([]Problem, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.table.Load()
	if err := admit(old, set); err != nil {
		return nil, err
	}
	next, problems := build(old, set, func(id ReplicaID) *load { return l.load(id, since(old, set)) })
	if err := check(old, next, set); err != nil {
		l.sweep(old, set.At)
		return nil, err
	}
	l.table.Store(next)
	l.sweep(next, set.At)
	return problems, nil
}

// check refuses what a set would make of the table.
func check(old, next *Table, set Set) error {
	if next.Len() > MaxRoutes {
		return fmt.Errorf("apply generation %d with %d routes: %w", set.Generation, next.Len(), ErrTooLarge)
	}
	if set.Force {
		return nil
	}
	return checkShrink(old, next, set)
}

// admit refuses sets that would turn time back.
func admit(old *Table, set Set) error {
	if set.Incarnation != old.incarnation {
		if set.Full {
			return nil
		}
		return fmt.Errorf("apply generation %d of incarnation %q: %w", set.Generation, set.Incarnation, ErrForeign)
	}
	if set.Generation < old.generation || !set.Full && set.Generation == old.generation {
		return fmt.Errorf("apply generation %d over %d: %w", set.Generation, old.generation, ErrStale)
	}
	return nil
}

// since returns when the replicas that a set adds came. Those of the first set may
// have served for long: nothing is known of them.
func since(old *Table, set Set) time.Time {
	if old.incarnation == "" {
		return time.Time{}
	}
	return set.At
}

// load returns the load of a replica; the caller holds mu.
func (l *Live) load(id ReplicaID, since time.Time) *load {
	c, ok := l.loads[id]
	if !ok {
		c = &load{since: since}
		l.loads[id] = c
	}
	return c
}

// sweep marks the loads of replicas without a route, and forgets those that
// are done; the caller holds mu.
func (l *Live) sweep(t *Table, now time.Time) {
	routed := make(map[ReplicaID]bool, len(l.loads))
	for _, r := range t.routes {
		for _, target := range r.targets {
			routed[target.Replica] = true
		}
	}
	for id, c := range l.loads {
		c.mark(!routed[id], now)
		if !routed[id] && c.inFlight.Load() == 0 {
			delete(l.loads, id)
		}
	}
}

// Held returns the replicas without a route that still have requests in flight,
// sorted. Freed tells when to ask again.
func (l *Live) Held() []ReplicaID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var held []ReplicaID
	for id, c := range l.loads {
		if c.unrouted.Load() && c.inFlight.Load() > 0 {
			held = append(held, id)
		}
	}
	slices.Sort(held)
	return held
}

// Freed receives after a replica without a route has finished its last request.
func (l *Live) Freed() <-chan struct{} { return l.freed }

// Lease is a request that is counted at a replica until Release.
type Lease struct {
	Route  *Route
	Target *Target
	live   *Live
}

// Acquire picks a replica of the workload that has the name and counts a request
// there, as of now. It never returns a replica in tried, and adds the one that it returns.
// It returns ErrUnknownHost or ErrNoReplica, with the route if there is one.
//
// A replica that a newer table does not have is never returned after the Apply
// of that table: the request is counted first and the table is read again then,
// while Apply swaps the table first and Held reads the counters then.
func (l *Live) Acquire(scope Scope, host string, now time.Time, tried *Tried) (Lease, error) {
	for {
		table := l.table.Load()
		r, ok := table.Lookup(scope, host)
		if !ok {
			return Lease{}, ErrUnknownHost
		}
		target := r.pick(now, tried, rand.Uint64)
		if target == nil {
			return Lease{Route: r}, ErrNoReplica
		}
		if !target.load.claim(now) {
			continue
		}
		lease := Lease{Route: r, Target: target, live: l}
		target.load.inFlight.Add(1)
		if l.table.Load() == table {
			tried.add(target)
			return lease, nil
		}
		lease.Release()
	}
}

// Release ends the request. It is called exactly once.
func (a Lease) Release() {
	if a.Target.load.inFlight.Add(-1) > 0 || !a.Target.load.unrouted.Load() {
		return
	}
	select {
	case a.live.freed <- struct{}{}:
	default:
	}
}

// LeftAt returns when the replica lost its route; zero while it has one.
func (a Lease) LeftAt() time.Time {
	if left := a.Target.load.left.Load(); left != 0 {
		return time.Unix(0, left)
	}
	return time.Time{}
}

// Eject says that the replica could not be reached: it is passed over for a short
// time, unless nothing else is left. Then one request tries it again.
func (a Lease) Eject(now time.Time) { a.Target.load.eject(now) }

// Restore says that the replica answered.
func (a Lease) Restore() { a.Target.load.restore() }
