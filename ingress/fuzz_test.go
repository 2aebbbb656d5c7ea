package ingress

import (
	"errors"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/ingress/certs"
	"github.com/runway-platform/runway/ingress/dns"
	"github.com/runway-platform/runway/ingress/route"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxFuzzed bounds an input: what is wrong with a large set is wrong with a small one.
const maxFuzzed = 16 << 10

// FuzzRoutes gives an ingress whatever parses as a set. It is in use, on disk and in
// DNS, or refused and everything is as it was; a workload that it does not speak of
// keeps its route; and the next good set is taken.
func FuzzRoutes(f *testing.F) {
	for _, set := range routeSets() {
		raw, err := proto.Marshal(set)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	log := slog.New(slog.DiscardHandler)
	manager, err := certs.New(certs.Config{Dir: f.TempDir(), Log: log})
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "routes")
	f.Fuzz(func(t *testing.T, raw []byte) {
		set := new(runwayv1.RouteSet)
		if len(raw) > maxFuzzed || proto.Unmarshal(raw, set) != nil {
			t.Skip()
		}
		b := newBook(route.NewLive(), manager, path, log)
		first := &runwayv1.RouteSet{
			Incarnation: testIncarnation, Generation: 5, Full: true, Domain: "example.com",
			Routes: []*runwayv1.Route{newRoute("safe", "10.0.0.1:20000"), newRoute("web", "10.0.0.2:20000")},
		}
		if err := b.apply(first); err != nil {
			t.Fatal(err)
		}
		before := b.routes()
		err := b.apply(set)
		switch {
		case err == nil:
			checkTaken(t, b, set)
		case !isRefusal(err):
			t.Fatalf("apply %v: %v", set, err)
		case b.routes() != before || b.live.Table().Generation() != 5:
			t.Errorf("%v was refused, and %v is in use", set, b.routes())
		}
		if !namesSafe(set) || err != nil {
			checkSafe(t, b, set)
		}
		dns.Build(b.routes())
		good := &runwayv1.RouteSet{Incarnation: "second", Generation: 1, Full: true, Force: true, Routes: first.GetRoutes()}
		if err := b.apply(good); err != nil {
			t.Fatalf("the next good set: %v", err)
		}
		checkSafe(t, b, set)
	})
}

func isRefusal(err error) bool {
	var shrink *route.ShrinkError
	return errors.As(err, &shrink) || errors.Is(err, route.ErrStale) || errors.Is(err, route.ErrForeign)
}

// checkTaken checks that a restart begins with the set in use.
func checkTaken(t *testing.T, b *book, set *runwayv1.RouteSet) {
	t.Helper()
	if !b.save(false) {
		t.Fatalf("routes of %v cannot be saved", set)
	}
	again := newBook(route.NewLive(), b.certs, b.path, b.log)
	if again.load(); !proto.Equal(again.routes(), b.routes()) {
		t.Errorf("a restart begins with %v instead of %v", again.routes(), b.routes())
	}
}

func checkSafe(t *testing.T, b *book, set *runwayv1.RouteSet) {
	t.Helper()
	for scope, host := range map[route.Scope]string{route.Public: "safe.default.example.com", route.Internal: "safe.default.internal"} {
		if r, ok := b.live.Table().Lookup(scope, host); !ok || len(r.Endpoints) != 1 || r.Key != toKey(key("safe")) {
			t.Errorf("%v took the route of another workload away", set)
		}
	}
}

// namesSafe reports whether a set may change what the workload safe has.
func namesSafe(set *runwayv1.RouteSet) bool {
	named := func(k *runwayv1.WorkloadKey) bool { return proto.Equal(k, key("safe")) }
	return set.GetFull() || slices.ContainsFunc(set.GetRemoved(), named) ||
		slices.ContainsFunc(set.GetRoutes(), func(r *runwayv1.Route) bool { return named(r.GetWorkload()) })
}

func routeSets() []*runwayv1.RouteSet {
	strange := newRoute("odd", "10.0.0.1:20000", "", "[::1%eth0]:0", "127.0.0.1:99999", "x")
	strange.Hosts = []string{"safe.default.example.com", "", "..", "*", "a\x00b", "xn--a"}
	strange.Protocol, strange.RequestTimeout = 99, &durationpb.Duration{Seconds: math.MaxInt64}
	strange.Endpoints[0].DrainTimeout = &durationpb.Duration{Seconds: math.MinInt64, Nanos: -1}
	difference := func(generation uint64, routes ...*runwayv1.Route) *runwayv1.RouteSet {
		return &runwayv1.RouteSet{Incarnation: testIncarnation, Generation: generation, Base: 5, Domain: "example.com", Routes: routes}
	}
	removal := difference(6)
	removal.Removed, removal.Withdrawn = []*runwayv1.WorkloadKey{key("web"), nil}, []*runwayv1.WorkloadKey{key("web"), key("safe")}
	records := difference(7)
	records.Domain = "..\x00"
	records.Ingresses = []*runwayv1.IngressRecord{{Name: "e", PublicAddresses: []string{"", "::1", "1.2.3.4"}}, nil}
	full := difference(math.MaxUint64, newRoute("new"))
	full.Full = true
	other := difference(1, newRoute("new"))
	other.Incarnation, other.Full = "other", true
	return []*runwayv1.RouteSet{
		difference(6, newRoute("web", "10.0.0.3:20000")), difference(6, strange), difference(6, &runwayv1.Route{}, nil),
		difference(5), difference(4, strange), removal, records, full, other, {},
	}
}
