package verify

import (
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/runway-platform/runway/ingress/route"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// What a new connection costs while the session is live; kept ones cost nothing.
func BenchmarkAdmit_Live(b *testing.B) {
	live := route.NewLive()
	_, err := live.Apply(route.Set{Incarnation: "first", Generation: 1, Full: true, Workloads: []route.Workload{{
		Key: route.Key{Space: "default", Service: "web", Environment: "production"}, InternalHosts: []string{"web.default.internal"},
		Endpoints: []route.Endpoint{{Replica: "r1", Address: netip.MustParseAddrPort("10.0.0.1:20000")}},
	}}})
	if err != nil {
		b.Fatal(err)
	}
	lease, err := live.Acquire(route.Internal, "web.default.internal", time.Now(), &route.Tried{})
	if err != nil {
		b.Fatal(err)
	}
	standing := NewStanding()
	standing.Extend(time.Now().Add(time.Hour))
	set := new(runwayv1.RouteSet)
	v := New(Config{Standing: standing, Routes: func() *runwayv1.RouteSet { return set }, Asker: &agents{}, Log: slog.New(slog.DiscardHandler)})
	defer v.Close()
	near, far := net.Pipe()
	defer far.Close()
	defer near.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Admit(b.Context(), near, lease.Target); err != nil {
			b.Fatal(err)
		}
	}
}
