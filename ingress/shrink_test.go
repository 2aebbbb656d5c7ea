package ingress

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/runway-platform/runway/ingress/route"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// services returns n routes.
func services(n int) []*runwayv1.Route {
	out := make([]*runwayv1.Route, n)
	for i := range out {
		out[i] = newRoute(fmt.Sprintf("s%d", i), "10.0.0.1:20000")
	}
	return out
}

// RELIABILITY C2: a set that drops most routes is refused, the old one stays in
// use, and the coordinator hears of it in the session that goes on.
func TestC2_RefusesASetThatDropsMostRoutes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		i, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		stream := <-f.streams
		send(t, stream, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: services(10)})
		next(t, f, acks)

		send(t, stream, &runwayv1.RouteSet{Generation: 2, Full: true, Routes: services(2)})
		ack := next(t, f, acks)
		if ack.GetGeneration() != 1 || ack.GetRefused() != 2 || ack.GetGoingTotal() != 8 || len(ack.GetGoing()) != 8 || ack.GetGoing()[0].GetService() != "s2" {
			t.Errorf("confirmation = %v, want generation 1 with 2 refused for s2 to s9", ack)
		}
		if _, ok := i.live.Table().Lookup(route.Public, "s9.default.example.com"); !ok || len(i.Routes().GetRoutes()) != 10 {
			t.Error("the old routes are not in use any more")
		}
		if !i.session.withheld.Load() || i.session.refused.Load() != 1 {
			t.Error("the metrics do not tell of it")
		}

		// What changes on top of what was refused cannot be taken either.
		send(t, stream, &runwayv1.RouteSet{Generation: 3, Removed: []*runwayv1.WorkloadKey{key("s0")}})
		if ack := next(t, f, acks); ack.GetGeneration() != 1 || ack.GetRefused() != 3 {
			t.Errorf("confirmation = %v, want generation 1 with 3 refused", ack)
		}

		send(t, stream, &runwayv1.RouteSet{Generation: 3, Full: true, Force: true, Routes: services(2)[1:]})
		if ack := next(t, f, acks); ack.GetGeneration() != 3 || ack.GetRefused() != 0 || len(ack.GetGoing()) != 0 {
			t.Errorf("confirmation = %v, want generation 3", ack)
		}
		if i.live.Table().Len() != 1 || i.session.withheld.Load() {
			t.Errorf("%d routes after the forced set, want 1 and no alert", i.live.Table().Len())
		}
	})
}

// A coordinator that comes up with too little says so in a first set.
func TestC2_RefusesAFirstSetOfASessionToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		i, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		send(t, <-f.streams, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: services(10)})
		next(t, f, acks)
		f.endSessions("second")
		stream := <-f.streams
		send(t, stream, &runwayv1.RouteSet{Incarnation: "second", Generation: 1, Full: true})
		if ack := next(t, f, acks); ack.GetIncarnation() != testIncarnation || ack.GetRefused() != 1 {
			t.Errorf("confirmation = %v, want the old incarnation with 1 refused", ack)
		}
		send(t, stream, &runwayv1.RouteSet{Incarnation: "second", Generation: 2, Full: true, Routes: services(9)})
		if ack := next(t, f, acks); ack.GetIncarnation() != "second" || ack.GetGeneration() != 2 || ack.GetRefused() != 0 {
			t.Errorf("confirmation = %v, want generation 2 of second", ack)
		}
		if got := i.live.Table().Len(); got != 9 {
			t.Errorf("%d routes, want 9", got)
		}
	})
}
