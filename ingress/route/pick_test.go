package route

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// newRoute returns a route with one replica per age at the moment at.
func newRoute(ages ...time.Duration) *Route {
	r := new(Route)
	for i, age := range ages {
		r.targets = append(r.targets, &Target{Endpoint: endpoint(fmt.Sprintf("r%d", i), 20000), load: &load{since: at.Add(-age)}})
	}
	return r
}

// shares returns which part of many requests each replica gets when nothing is in
// flight.
func shares(r *Route, now time.Time, seed uint64) []float64 {
	const requests = 20_000
	random := rand.New(rand.NewPCG(seed, 1)).Uint64
	got := map[*Target]float64{}
	for range requests {
		got[r.pick(now, &Tried{}, random)]++
	}
	out := make([]float64, len(r.targets))
	for i, target := range r.targets {
		out[i] = got[target] / requests
	}
	return out
}

func TestPick_RampsANewReplicaUp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		age  time.Duration
		want float64
	}{
		{"picked before it came", -time.Second, minWeight / 2},
		{"just came", 0, minWeight / 2},
		{"half way", slowStart / 2, 0.25},
		{"warm", slowStart, 0.5},
		{"old", time.Hour, 0.5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := shares(newRoute(time.Hour, tt.age), at, 1)[1]
			if math.Abs(got-tt.want) > 0.02 {
				t.Errorf("share at age %v = %.3f, want %.3f", tt.age, got, tt.want)
			}
		})
	}
}

// served returns which part of the requests each replica gets when some are always
// in flight, each for the same number of requests.
func served(r *Route, now time.Time, inFlight int, random func() uint64) []float64 {
	const requests = 6_000
	got := map[*Target]float64{}
	var open []*Target
	for range requests {
		target := r.pick(now, &Tried{}, random)
		got[target]++
		target.load.inFlight.Add(1)
		if open = append(open, target); len(open) > inFlight {
			open[0].load.inFlight.Add(-1)
			open = open[1:]
		}
	}
	for _, target := range open {
		target.load.inFlight.Add(-1)
	}
	out := make([]float64, len(r.targets))
	for i, target := range r.targets {
		out[i] = got[target] / requests
	}
	return out
}

// Whatever the ages and the load: nobody starves, a young replica gets at most
// twice its weight of an equal share, and replicas of one age share equally.
func TestPick_SharesByAge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		age := rapid.SampledFrom([]time.Duration{0, slowStart / 10, slowStart / 4, slowStart / 2, slowStart, time.Hour})
		ages := rapid.SliceOfN(age, 1, 6).Draw(t, "ages")
		inFlight := rapid.IntRange(1, 60).Draw(t, "in flight")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)).Uint64
		got := served(newRoute(ages...), at, inFlight, random)
		equal := 1 / float64(len(ages))
		oldest := 0.0
		for _, age := range ages {
			oldest = max(oldest, (&load{since: at.Add(-age)}).weight(at))
		}
		for i, age := range ages {
			weight := (&load{since: at.Add(-age)}).weight(at) / oldest
			if got[i] < equal*minWeight/3 {
				t.Fatalf("a replica of age %v among %v starves with %.4f", age, ages, got[i])
			}
			if weight < 1 && len(ages) == 2 && got[i] > 2*weight*equal+0.03 {
				t.Fatalf("a replica of age %v among %v gets %.3f, want at most %.3f", age, ages, got[i], 2*weight*equal)
			}
			for k := range ages {
				if ages[k] == age && math.Abs(got[i]-got[k]) > 0.08 {
					t.Fatalf("replicas of age %v among %v get %.3f and %.3f", age, ages, got[i], got[k])
				}
			}
		}
	})
}

func TestLive_OnlyReplicasThatCameLaterAreNew(t *testing.T) {
	t.Parallel()
	first, second := full(1, web(endpoint("r1", 20000))), change(2, web(endpoint("r1", 20000), endpoint("r2", 20001)))
	first.At, second.At = at, at.Add(time.Second)
	l := newLive(t, first, second)
	r, _ := l.Table().Lookup(Public, "web.example.com")
	now := second.At.Add(slowStart / 2)
	if got := r.targets[0].load.weight(now); got != 1 {
		t.Errorf("a replica of the first set has weight %v, want 1: it may have served for long", got)
	}
	if got := r.targets[1].load.weight(now); got != 0.5 {
		t.Errorf("a replica that came half a slow start ago has weight %v, want 0.5", got)
	}
	back := change(3, web(endpoint("r1", 20000)))
	if _, err := l.Apply(back); err != nil {
		t.Fatal(err)
	}
	again := change(4, web(endpoint("r1", 20000), endpoint("r2", 20001)))
	again.At = now
	if _, err := l.Apply(again); err != nil {
		t.Fatal(err)
	}
	r, _ = l.Table().Lookup(Public, "web.example.com")
	if got := r.targets[1].load.weight(now); got != minWeight {
		t.Errorf("a replica that came back has weight %v, want %v", got, minWeight)
	}
}

func TestLive_PassesOverAnEjectedReplica(t *testing.T) {
	t.Parallel()
	l := newLive(t, full(1, web(endpoint("r1", 20000), endpoint("r2", 20001), endpoint("r3", 20002))))
	ejectOne(t, l, "r2")
	for range 200 {
		if got := acquire(t, l, at.Add(ejection-1), &Tried{}); got.Target.Replica == "r2" {
			t.Fatal("an ejected replica was picked while others are left")
		}
	}
	var probes int
	for range 200 {
		if acquire(t, l, at.Add(ejection), &Tried{}).Target.Replica == "r2" {
			probes++
		}
	}
	if probes != 1 {
		t.Errorf("%d requests tried the replica again, want one", probes)
	}
}

func TestLive_RestoresAReplicaThatAnswers(t *testing.T) {
	t.Parallel()
	l := newLive(t, full(1, web(endpoint("r1", 20000), endpoint("r2", 20001))))
	ejectOne(t, l, "r2").Restore()
	seen := map[ReplicaID]int{}
	for range 200 {
		seen[acquire(t, l, at, &Tried{}).Target.Replica]++
	}
	if seen["r2"] < 50 {
		t.Errorf("a restored replica got %d of 200 requests", seen["r2"])
	}
}

// Ejection never makes an outage: with every replica ejected, each is tried as if
// none was.
func TestLive_TriesEjectedReplicasWhenNothingElseIsLeft(t *testing.T) {
	t.Parallel()
	for _, replicas := range []int{1, 2, 3} {
		w := web()
		for i := range replicas {
			w.Endpoints = append(w.Endpoints, endpoint(fmt.Sprintf("r%d", i), 20000))
		}
		l := newLive(t, full(1, w))
		for i := range replicas {
			ejectOne(t, l, ReplicaID(fmt.Sprintf("r%d", i)))
		}
		for _, now := range []time.Time{at, at.Add(ejection), at.Add(time.Hour)} {
			var tried Tried
			for range replicas {
				acquire(t, l, now, &tried)
			}
			if tried.Len() != replicas {
				t.Errorf("%d of %d ejected replicas were tried", tried.Len(), replicas)
			}
		}
	}
}

// ejectOne ejects a replica at the moment at.
func ejectOne(t *testing.T, l *Live, id ReplicaID) Lease {
	t.Helper()
	r, _ := l.Table().Lookup(Public, "web.example.com")
	for _, target := range r.targets {
		if target.Replica == id {
			lease := Lease{Route: r, Target: target, live: l}
			lease.Eject(at)
			return lease
		}
	}
	t.Fatalf("no replica %q", id)
	return Lease{}
}

// acquire leases a replica and releases it at once.
func acquire(t *testing.T, l *Live, now time.Time, tried *Tried) Lease {
	t.Helper()
	lease, err := l.Acquire(Public, "web.example.com", now, tried)
	if err != nil {
		t.Fatal(err)
	}
	lease.Release()
	return lease
}
