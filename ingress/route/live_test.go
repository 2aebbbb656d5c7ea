package route

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

const incarnation = "first"

// at is the moment of everything where time does not matter.
var at = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func webKey() Key { return Key{Space: "default", Service: "web", Environment: "production"} }

func endpoint(id string, port uint16) Endpoint {
	return Endpoint{Replica: ReplicaID(id), Address: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), Revision: 1}
}

func web(endpoints ...Endpoint) Workload {
	return Workload{
		Key:           webKey(),
		Hosts:         []string{"web.example.com"},
		InternalHosts: []string{"web.default.internal"},
		Endpoints:     endpoints,
	}
}

func full(generation uint64, workloads ...Workload) Set {
	return Set{Incarnation: incarnation, Generation: generation, Full: true, Workloads: workloads}
}

func change(generation uint64, workloads ...Workload) Set {
	return Set{Incarnation: incarnation, Generation: generation, Workloads: workloads}
}

func newLive(t *testing.T, sets ...Set) *Live {
	t.Helper()
	l := NewLive()
	for _, set := range sets {
		if _, err := l.Apply(set); err != nil {
			t.Fatalf("Apply(%+v): %v", set, err)
		}
	}
	return l
}

func TestLive_RoutesByScope(t *testing.T) {
	t.Parallel()
	l := newLive(t, full(1, web(endpoint("r1", 20000))))
	tests := []struct {
		name  string
		scope Scope
		host  string
		want  error
	}{
		{"public name", Public, "web.example.com", nil},
		{"internal name", Internal, "web.default.internal", nil},
		{"internal name from outside", Public, "web.default.internal", ErrUnknownHost},
		{"public name from inside", Internal, "web.example.com", ErrUnknownHost},
		{"unknown name", Public, "other.example.com", ErrUnknownHost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lease, err := l.Acquire(tt.scope, tt.host, at, &Tried{})
			if !errors.Is(err, tt.want) {
				t.Fatalf("Acquire(%v, %q) = %v, want %v", tt.scope, tt.host, err, tt.want)
			}
			if err == nil {
				lease.Release()
			}
		})
	}
}

// RELIABILITY C2: what is older than the table, or of another incarnation without
// being a whole, is refused.
func TestC2_RefusesSetsThatTurnTimeBack(t *testing.T) {
	t.Parallel()
	gone := []Key{webKey()}
	tests := []struct {
		name string
		set  Set
		want error
	}{
		{"older full set", full(4), ErrStale},
		{"same full set", withdrawing(full(5), gone), nil},
		{"newer full set", withdrawing(full(6), gone), nil},
		{"older difference", change(4), ErrStale},
		{"same difference", change(5), ErrStale},
		{"newer difference", change(9), nil},
		{"difference of another incarnation", Set{Incarnation: "second", Generation: 99}, ErrForeign},
		{"full set of another incarnation", Set{Incarnation: "second", Generation: 1, Full: true, Withdrawn: gone}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLive(t, full(5, web(endpoint("r1", 20000))))
			before := l.Table()
			_, err := l.Apply(tt.set)
			if !errors.Is(err, tt.want) {
				t.Fatalf("Apply = %v, want %v", err, tt.want)
			}
			if err != nil && l.Table() != before {
				t.Error("a refused set replaced the table")
			}
		})
	}
}

// many returns n workloads, each with a name.
func many(n int) []Workload {
	out := make([]Workload, n)
	for i := range out {
		out[i] = Workload{Key: Key{"default", fmt.Sprintf("s%d", i), "production"}, Hosts: []string{fmt.Sprintf("s%d.example.com", i)}}
	}
	return out
}

func keys(workloads []Workload) []Key {
	out := make([]Key, len(workloads))
	for i, w := range workloads {
		out[i] = w.Key
	}
	return out
}

func TestLive_AppliesDifferences(t *testing.T) {
	t.Parallel()
	other := Workload{Key: Key{"default", "api", "production"}, Hosts: []string{"api.example.com"}}
	l := newLive(t, full(1, web(endpoint("r1", 20000)), other), change(2, web(endpoint("r2", 20001))))
	lease, err := l.Acquire(Public, "web.example.com", at, &Tried{})
	if err != nil || lease.Target.Replica != "r2" {
		t.Fatalf("Acquire = %+v, %v; want replica r2", lease.Target, err)
	}
	lease.Release()
	if diff := cmp.Diff([]string{"api.example.com", "web.example.com"}, l.Table().Hosts(Public)); diff != "" {
		t.Errorf("names after a difference (-want +got):\n%s", diff)
	}
	if _, err := l.Apply(Set{Incarnation: incarnation, Generation: 3, Removed: []Key{webKey()}}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Acquire(Public, "web.example.com", at, &Tried{}); !errors.Is(err, ErrUnknownHost) {
		t.Errorf("Acquire of a removed workload = %v, want %v", err, ErrUnknownHost)
	}
}

func TestLive_RefusesOddPartsAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	good := endpoint("r1", 20000)
	tests := []struct {
		name   string
		mutate func(*Workload)
		reason string
	}{
		{"odd name", func(w *Workload) { w.Hosts = append(w.Hosts, "we b") }, "not a DNS name"},
		{"name with port", func(w *Workload) { w.Hosts = append(w.Hosts, "b.example.com:80") }, "not a DNS name"},
		{"odd internal name", func(w *Workload) { w.InternalHosts = append(w.InternalHosts, "") }, "not a DNS name"},
		{"endpoint without ID", func(w *Workload) { w.Endpoints = append(w.Endpoints, endpoint("", 1)) }, "no replica ID"},
		{"endpoint without port", func(w *Workload) { w.Endpoints = append(w.Endpoints, endpoint("r2", 0)) }, "no usable address"},
		{"endpoint without address", func(w *Workload) { w.Endpoints = append(w.Endpoints, Endpoint{Replica: "r2"}) }, "no usable address"},
		{"replica twice", func(w *Workload) { w.Endpoints = append(w.Endpoints, good) }, "twice"},
		{"too many names", func(w *Workload) {
			for i := range MaxHosts {
				w.Hosts = append(w.Hosts, fmt.Sprintf("n%d.example.com", i))
			}
		}, "more than 100 names"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := web(good)
			tt.mutate(&w)
			l := NewLive()
			problems, err := l.Apply(full(1, w))
			if err != nil || len(problems) != 1 || !strings.Contains(problems[0].Reason, tt.reason) {
				t.Fatalf("Apply = %+v, %v; want one problem with %q", problems, err, tt.reason)
			}
			lease, err := l.Acquire(Public, "web.example.com", at, &Tried{})
			if err != nil || lease.Target.Replica != "r1" {
				t.Fatalf("the good part is not routed: %v", err)
			}
			lease.Release()
		})
	}
}

func TestLive_RefusesIncompleteWorkload(t *testing.T) {
	t.Parallel()
	l := newLive(t, full(1, web(endpoint("r1", 20000))))
	problems, err := l.Apply(change(2, Workload{Hosts: []string{"web.example.com"}}, web(endpoint("r1", 20000)), web()))
	if err != nil || len(problems) != 2 {
		t.Fatalf("Apply = %+v, %v; want two problems", problems, err)
	}
	if r, ok := l.Table().Lookup(Public, "web.example.com"); !ok || len(r.Endpoints) != 1 {
		t.Error("a refused entry changed the good one")
	}
}

func TestLive_NameStaysWithItsOwner(t *testing.T) {
	t.Parallel()
	thief := Workload{Key: Key{"aaa", "thief", "production"}, Hosts: []string{"WEB.example.com."}}
	l := newLive(t, full(1, web(endpoint("r1", 20000))))
	problems, err := l.Apply(change(2, thief))
	if err != nil {
		t.Fatal(err)
	}
	want := []Problem{{Key: thief.Key, Host: "web.example.com", Reason: "the name belongs to another workload"}}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if r, _ := l.Table().Lookup(Public, "web.example.com"); r.Key != webKey() {
		t.Errorf("the name went to %+v", r.Key)
	}
	if _, err := l.Apply(Set{Incarnation: incarnation, Generation: 3, Removed: []Key{webKey()}}); err != nil {
		t.Fatal(err)
	}
	if r, ok := l.Table().Lookup(Public, "web.example.com"); !ok || r.Key != thief.Key {
		t.Error("the name did not go over when its owner left")
	}
}

func TestLive_CountsSurviveSwaps(t *testing.T) {
	t.Parallel()
	l := newLive(t, full(1, web(endpoint("r1", 20000))))
	lease, err := l.Acquire(Public, "web.example.com", at, &Tried{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Apply(full(2, web(endpoint("r1", 20000), endpoint("r2", 20001)))); err != nil {
		t.Fatal(err)
	}
	if held := l.Held(); held != nil {
		t.Errorf("Held() = %v while the replica is routed", held)
	}
	r, _ := l.Table().Lookup(Public, "web.example.com")
	if got := r.targets[0].InFlight(); got != 1 {
		t.Errorf("in flight after a swap = %d, want 1", got)
	}
	if _, err := l.Apply(full(3, web(endpoint("r2", 20001)))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]ReplicaID{"r1"}, l.Held()); diff != "" {
		t.Errorf("Held (-want +got):\n%s", diff)
	}
	lease.Release()
	select {
	case <-l.Freed():
	default:
		t.Error("the last request of an unrouted replica ended and Freed is silent")
	}
	if held := l.Held(); held != nil {
		t.Errorf("Held() = %v after the last request", held)
	}
}

func TestLive_TriesEachReplicaOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 6).Draw(t, "replicas")
		w := web()
		for i := range n {
			w.Endpoints = append(w.Endpoints, endpoint(fmt.Sprintf("r%d", i), uint16(20000+i)))
		}
		l := NewLive()
		if _, err := l.Apply(full(1, w)); err != nil {
			t.Fatal(err)
		}
		var tried Tried
		seen := map[ReplicaID]bool{}
		for {
			lease, err := l.Acquire(Public, "web.example.com", at, &tried)
			if err != nil {
				if !errors.Is(err, ErrNoReplica) || lease.Route == nil {
					t.Fatalf("Acquire = %v, route %v", err, lease.Route)
				}
				break
			}
			if seen[lease.Target.Replica] {
				t.Fatalf("replica %q was offered twice", lease.Target.Replica)
			}
			seen[lease.Target.Replica] = true
			lease.Release()
		}
		if want := min(n, MaxTries); len(seen) != want {
			t.Fatalf("%d of %d replicas were tried, want %d", len(seen), n, want)
		}
	})
}

func TestLive_PicksTheCalmerOne(t *testing.T) {
	t.Parallel()
	l := newLive(t, full(1, web(endpoint("r1", 20000), endpoint("r2", 20001))))
	counts := map[ReplicaID]int{}
	for range 10 {
		lease, err := l.Acquire(Public, "web.example.com", at, &Tried{})
		if err != nil {
			t.Fatal(err)
		}
		counts[lease.Target.Replica]++
	}
	if counts["r1"] != 5 || counts["r2"] != 5 {
		t.Errorf("10 held requests went %v, want 5 to each of two replicas", counts)
	}
}

// After Apply of a set without a replica, no request may start there: this is
// what an acknowledgement promises.
func TestLive_NothingStartsAtAnUnroutedReplica(t *testing.T) {
	t.Parallel()
	l := newLive(t, full(1, web(endpoint("r0", 20000))))
	var stop atomic.Bool
	var gone sync.Map
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				before := maps.Collect(entries(&gone))
				lease, err := l.Acquire(Public, "web.example.com", at, &Tried{})
				if err != nil {
					t.Errorf("Acquire: %v", err)
					return
				}
				if before[lease.Target.Replica] {
					t.Errorf("a request started at %q after its removal", lease.Target.Replica)
				}
				lease.Release()
			}
		})
	}
	for generation := uint64(2); generation < 500; generation++ {
		id := fmt.Sprintf("r%d", generation)
		if _, err := l.Apply(full(generation, web(endpoint(id, 20001)))); err != nil {
			t.Fatal(err)
		}
		gone.Clear()
		gone.Store(ReplicaID(fmt.Sprintf("r%d", generation-1)), true)
	}
	stop.Store(true)
	wg.Wait()
	if held := l.Held(); held != nil {
		t.Errorf("Held() = %v after all requests", held)
	}
	if got := len(l.loads); got > 3 {
		t.Errorf("%d counters are kept for one replica", got)
	}
}

func entries(m *sync.Map) func(func(ReplicaID, bool) bool) {
	return func(yield func(ReplicaID, bool) bool) {
		m.Range(func(k, _ any) bool { return yield(k.(ReplicaID), true) })
	}
}

// A table after any differences is the table of one full set.
func TestLive_DifferencesEqualTheFullSet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		step := NewLive()
		if _, err := step.Apply(full(1)); err != nil {
			t.Fatal(err)
		}
		model := map[Key]Workload{}
		for generation := range uint64(rapid.IntRange(0, 12).Draw(t, "steps")) {
			set := drawChange(t, generation+2)
			for _, key := range set.Removed {
				delete(model, key)
			}
			for _, w := range set.Workloads {
				model[w.Key] = w
			}
			if _, err := step.Apply(set); err != nil {
				t.Fatal(err)
			}
		}
		whole := NewLive()
		if _, err := whole.Apply(full(step.Table().Generation(), slices.Collect(maps.Values(model))...)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(summary(whole.Table()), summary(step.Table()), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
			t.Fatalf("differences and full set differ (-full +steps):\n%s", diff)
		}
	})
}

func drawChange(t *rapid.T, generation uint64) Set {
	set := change(generation)
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 3, rapid.ID).Draw(t, "services")
	for i, name := range names {
		key := Key{"default", name, "production"}
		if i > 0 && rapid.Bool().Draw(t, "remove") {
			set.Removed, set.Withdrawn = append(set.Removed, key), append(set.Withdrawn, key)
			continue
		}
		w := Workload{Key: key, Hosts: []string{name + ".example.com"}, Vacant: true}
		for r := range rapid.IntRange(0, 3).Draw(t, "replicas") {
			w.Endpoints = append(w.Endpoints, endpoint(fmt.Sprintf("%s%d-%d", name, generation, r), uint16(20000+r)))
		}
		set.Workloads = append(set.Workloads, w)
	}
	return set
}

func summary(t *Table) map[string][]Endpoint {
	out := map[string][]Endpoint{}
	for host, r := range t.hosts[Public] {
		out[host] = append([]Endpoint{}, r.Endpoints...)
	}
	return out
}

func FuzzLive_NeverPanics(f *testing.F) {
	f.Add("default", "web", "web.example.com", "r1", uint16(80))
	f.Fuzz(func(t *testing.T, space, service, host, replica string, port uint16) {
		l := newLive(t, full(1, web(endpoint("r1", 20000))))
		w := Workload{
			Key:   Key{space, service, "production"},
			Hosts: []string{host}, InternalHosts: []string{host},
			Endpoints: []Endpoint{endpoint(replica, port)},
		}
		if _, err := l.Apply(change(2, w)); err != nil {
			t.Fatal(err)
		}
		if r, ok := l.Table().Lookup(Public, "web.example.com"); w.Key != webKey() && (!ok || r.Key != webKey()) {
			t.Error("another entry took the name away")
		}
	})
}

func BenchmarkLive_Acquire(b *testing.B) {
	for _, n := range []int{1, 2, 40, 1000} {
		b.Run(fmt.Sprintf("replicas=%d", n), func(b *testing.B) {
			w := web()
			for i := range n {
				w.Endpoints = append(w.Endpoints, endpoint(fmt.Sprintf("r%d", i), uint16(20000+i)))
			}
			l := NewLive()
			if _, err := l.Apply(full(1, w)); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					var tried Tried
					lease, err := l.Acquire(Public, "web.example.com", at, &tried)
					if err != nil {
						b.Error(err)
						return
					}
					lease.Release()
				}
			})
		})
	}
}

func BenchmarkLive_ApplyDifference(b *testing.B) {
	set := full(1)
	for i := range 5000 {
		set.Workloads = append(set.Workloads, Workload{
			Key:       Key{"default", fmt.Sprintf("s%d", i), "production"},
			Hosts:     []string{fmt.Sprintf("s%d.example.com", i)},
			Endpoints: []Endpoint{endpoint(fmt.Sprintf("r%d", i), 20000)},
		})
	}
	l := NewLive()
	if _, err := l.Apply(set); err != nil {
		b.Fatal(err)
	}
	generation := uint64(1)
	for b.Loop() {
		generation++
		if _, err := l.Apply(change(generation, set.Workloads[generation%5000])); err != nil {
			b.Fatal(err)
		}
	}
}
