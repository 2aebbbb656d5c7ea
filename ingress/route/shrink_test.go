package route

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// routed returns many routes with an endpoint each.
func routed(n int) []Workload {
	workloads := many(n)
	for i := range workloads {
		workloads[i].Endpoints = []Endpoint{endpoint(fmt.Sprintf("r%d", i), 20000)}
	}
	return workloads
}

// emptied returns many routes of which the first n have no endpoint any more.
func emptied(all, n int, vacant bool) []Workload {
	workloads := routed(all)
	for i := range n {
		workloads[i].Endpoints, workloads[i].Vacant = nil, vacant
	}
	return workloads
}

func withdrawing(set Set, keys []Key) Set {
	set.Withdrawn = keys
	return set
}

// RELIABILITY C2: what most routes would go with is taken only if it says why.
func TestC2_RefusesToLoseMostRoutesWithoutAReason(t *testing.T) {
	t.Parallel()
	other := many(30)[20:]
	tests := []struct {
		name   string
		before int
		set    Set
		going  int // 0: it is taken
	}{
		{"empty set over eight routes", 8, full(2), 8},
		{"empty set over one route", 1, full(2), 1},
		{"empty set over three routes", 3, full(2), 3},
		{"fewer than half stay", 9, full(2, routed(4)...), 5},
		{"half stay", 8, full(2, routed(4)...), 0},
		{"others instead", 10, full(2, other...), 10},
		{"difference", 10, Set{Incarnation: incarnation, Generation: 2, Removed: keys(many(6))}, 6},
		{"another incarnation", 8, Set{Incarnation: "second", Generation: 1, Full: true}, 8},
		{"entries that are refused", 8, full(2, make([]Workload, 8)...), 8},
		{"forced", 8, Set{Incarnation: incarnation, Generation: 2, Full: true, Force: true}, 0},
		{"all deleted", 10, withdrawing(full(2), keys(many(10))), 0},
		{"most deleted, the rest lost", 10, withdrawing(full(2), keys(many(5))), 0},
		{"some deleted, most lost", 10, withdrawing(full(2), keys(many(4))), 6},
		{"deleted in a difference", 10, withdrawing(Set{Incarnation: incarnation, Generation: 2, Removed: keys(many(9))}, keys(many(9))), 0},
		{"endpoints of most are lost", 10, full(2, emptied(10, 6, false)...), 6},
		{"endpoints of half are lost", 10, full(2, emptied(10, 5, false)...), 0},
		{"endpoint of the only route is lost", 1, full(2, emptied(1, 1, false)...), 1},
		{"all are scaled to zero", 10, full(2, emptied(10, 10, true)...), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLive(t, full(1, routed(tt.before)...))
			before := l.Table()
			_, err := l.Apply(tt.set)
			var shrink *ShrinkError
			if refused := errors.As(err, &shrink); refused != (tt.going > 0) || err != nil && !refused {
				t.Fatalf("Apply = %v, want %d going", err, tt.going)
			}
			if err == nil {
				return
			}
			if len(shrink.Going) != tt.going || shrink.Of != tt.before {
				t.Errorf("%d of %d would go, want %d of %d", len(shrink.Going), shrink.Of, tt.going, tt.before)
			}
			if l.Table() != before || len(l.loads) != tt.before {
				t.Errorf("a refused set replaced the table, or left %d loads for %d replicas", len(l.loads), tt.before)
			}
		})
	}
}

// What is deleted one after the other goes to the last route, as each says why.
func TestC2_LosesAllRoutesOneByOne(t *testing.T) {
	t.Parallel()
	l := newLive(t, full(1, routed(20)...))
	for i, key := range keys(many(20)) {
		set := Set{Incarnation: incarnation, Generation: uint64(i + 2), Removed: []Key{key}, Withdrawn: []Key{key}}
		if _, err := l.Apply(set); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.Table().Len(); got != 0 {
		t.Errorf("%d routes are left", got)
	}
}

// Whatever comes: a set without force never takes more than half of the routes away
// that it does not name, and says which.
func TestC2_NeverLosesMoreThanHalf(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before := rapid.IntRange(1, 12).Draw(t, "before")
		l := NewLive()
		if _, err := l.Apply(full(1, routed(before)...)); err != nil {
			t.Fatal(err)
		}
		old := l.Table()
		set := full(2)
		named := map[Key]bool{}
		for _, w := range routed(before) {
			switch rapid.IntRange(0, 4).Draw(t, "fate") {
			case 0: // lost
			case 1:
				set.Withdrawn = append(set.Withdrawn, w.Key)
				named[w.Key] = true
			case 2:
				w.Endpoints = nil
				set.Workloads = append(set.Workloads, w)
			case 3:
				w.Endpoints, w.Vacant = nil, true
				named[w.Key] = true
				set.Workloads = append(set.Workloads, w)
			default:
				set.Workloads = append(set.Workloads, w)
			}
		}
		_, err := l.Apply(set)
		var going []Key
		for _, w := range routed(before) {
			r, stays := routeOf(set, w.Key)
			if (!stays || len(r.Endpoints) == 0) && !named[w.Key] {
				going = append(going, w.Key)
			}
		}
		var shrink *ShrinkError
		if refused := errors.As(err, &shrink); refused != (2*len(going) > before) {
			t.Fatalf("Apply = %v, with %d of %d going", err, len(going), before)
		}
		if shrink != nil && (!cmp.Equal(going, shrink.Going, cmp.Transformer("set", asSet)) || l.Table() != old) {
			t.Fatalf("going %v, want %v, and the old table", shrink.Going, going)
		}
	})
}

func routeOf(set Set, key Key) (Workload, bool) {
	for _, w := range set.Workloads {
		if w.Key == key {
			return w, true
		}
	}
	return Workload{}, false
}

func asSet(keys []Key) map[Key]bool {
	set := map[Key]bool{}
	for _, key := range keys {
		set[key] = true
	}
	return set
}
