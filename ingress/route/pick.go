package route

import "time"

// MaxTries bounds the replicas that one request is offered to: a third refusal
// in a row says that the workload is down, not a replica.
const MaxTries = 3

// Tried holds the replicas that a request was offered to already.
type Tried struct {
	targets [MaxTries]ReplicaID
	n       int
}

// Full tells that the request was offered to enough replicas.
func (t *Tried) Full() bool { return t.n == MaxTries }

// Len returns the number of replicas that were tried.
func (t *Tried) Len() int { return t.n }

func (t *Tried) add(target *Target) {
	if t.n < MaxTries {
		t.targets[t.n] = target.Replica
		t.n++
	}
}

func (t *Tried) has(target *Target) bool {
	for _, id := range t.targets[:t.n] {
		if id == target.Replica {
			return true
		}
	}
	return false
}

// redraws bounds the draws of a pair before the replicas are searched in order.
const redraws = 4

// pick returns the replica with fewer requests in flight out of two random ones,
// or nil when each was tried. Two choices are as good as looking at all of them
// and do not send every request of a moment to the same idle replica.
func (r *Route) pick(now time.Time, tried *Tried, random func() uint64) *Target {
	if tried.Full() || len(r.targets) == 0 {
		return nil
	}
	if tried.n > 0 {
		return r.search(now, tried, random)
	}
	if len(r.targets) == 1 {
		return r.targets[0]
	}
	for range redraws {
		a, b := r.draw(random())
		if !a.load.ejected(now) && !b.load.ejected(now) {
			return prefer(a, b, now, random)
		}
	}
	return r.search(now, tried, random)
}

// draw returns two different replicas of at least two.
func (r *Route) draw(random uint64) (a, b *Target) {
	n := uint64(len(r.targets))
	i := (random >> 32) * n >> 32
	j := (random & 0xffffffff) * (n - 1) >> 32
	if j >= i {
		j++
	}
	return r.targets[i], r.targets[j]
}

// search is pick for second tries and among ejected replicas: it walks from a
// random place. An ejected replica is better than none.
func (r *Route) search(now time.Time, tried *Tried, random func() uint64) *Target {
	var first, last *Target
	start := int(random() % uint64(len(r.targets))) //nolint:gosec // below the length
	for i := range r.targets {
		target := r.targets[(start+i)%len(r.targets)]
		switch {
		case tried.has(target):
		case target.load.ejected(now):
			last = target
		case first != nil:
			return prefer(first, target, now, random)
		default:
			first = target
		}
	}
	if first != nil {
		return first
	}
	return last
}

// prefer returns the calmer one of two replicas, but the younger one in proportion
// to its weight only.
func prefer(a, b *Target, now time.Time, random func() uint64) *Target {
	wa, wb := a.load.weight(now), b.load.weight(now)
	switch {
	case wb < wa && fraction(random()) >= wb/wa:
		return a
	case wa < wb && fraction(random()) >= wa/wb:
		return b
	}
	return calmer(a, b)
}

// fraction maps a random number to at least 0 and less than 1.
func fraction(random uint64) float64 { return float64(random>>11) / (1 << 53) }

func calmer(a, b *Target) *Target {
	if b.InFlight() < a.InFlight() {
		return b
	}
	return a
}
