package route

import "math/rand/v2"

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

// pick returns the replica with fewer requests in flight out of two random ones,
// or nil when each was tried. Two choices are as good as looking at all of them
// and do not send every request of a moment to the same idle replica.
func (r *Route) pick(tried *Tried) *Target {
	if tried.Full() {
		return nil
	}
	if tried.n > 0 {
		return r.pickUntried(tried)
	}
	switch n := uint64(len(r.targets)); n {
	case 0:
		return nil
	case 1:
		return r.targets[0]
	default:
		random := rand.Uint64()
		i := (random >> 32) * n >> 32
		j := (random & 0xffffffff) * (n - 1) >> 32
		if j >= i {
			j++
		}
		return calmer(r.targets[i], r.targets[j])
	}
}

// pickUntried is pick for the rare second try: it walks from a random place.
func (r *Route) pickUntried(tried *Tried) *Target {
	if len(r.targets) == 0 {
		return nil
	}
	var first *Target
	start := rand.IntN(len(r.targets))
	for i := range r.targets {
		target := r.targets[(start+i)%len(r.targets)]
		if tried.has(target) {
			continue
		}
		if first != nil {
			return calmer(first, target)
		}
		first = target
	}
	return first
}

func calmer(a, b *Target) *Target {
	if b.InFlight() < a.InFlight() {
		return b
	}
	return a
}
