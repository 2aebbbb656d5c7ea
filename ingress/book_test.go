package ingress

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/ingress/certs"
	"github.com/runway-platform/runway/ingress/route"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func newTestBook(t *testing.T) *book {
	t.Helper()
	dir := t.TempDir()
	manager, err := certs.New(certs.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return newBook(route.NewLive(), manager, filepath.Join(dir, "routes"), slog.New(slog.DiscardHandler))
}

// Whatever a message says, the process lives, and a workload that the message
// does not speak of keeps its route.
func TestBook_SurvivesTenThousandDamagedMessages(t *testing.T) {
	t.Parallel()
	b := newTestBook(t)
	if err := b.apply(&runwayv1.RouteSet{Incarnation: testIncarnation, Generation: 1, Full: true, Routes: []*runwayv1.Route{newRoute("safe", "10.0.0.1:20000")}}); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var applied int
	var before []*runwayv1.WorkloadKey // removed again, so that the table stays small
	for range 10_000 {
		m := &runwayv1.RouteSet{Incarnation: testIncarnation, Routes: []*runwayv1.Route{newRoute("web", "10.0.0.2:20000"), newRoute("api", "10.0.0.3:20000")}}
		raw, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		for range random.IntN(4) + 1 {
			raw[random.IntN(len(raw))] ^= byte(1 << random.IntN(8))
		}
		damaged := new(runwayv1.RouteSet)
		if proto.Unmarshal(raw, damaged) != nil {
			continue
		}
		damaged.Incarnation, damaged.Full, damaged.Removed, damaged.Withdrawn = testIncarnation, false, before, before
		damaged.Generation = b.routes().GetGeneration() + 1
		var shrink *route.ShrinkError
		if err := b.apply(damaged); errors.As(err, &shrink) {
			continue // both others would have no endpoint left
		} else if err != nil {
			t.Fatalf("apply %v: %v", damaged, err)
		}
		applied++
		before = nil
		for _, r := range damaged.GetRoutes() {
			if r.GetWorkload().GetService() != "safe" {
				before = append(before, r.GetWorkload())
			}
		}
		if r, ok := b.live.Table().Lookup(route.Public, "safe.default.example.com"); !ok || len(r.Endpoints) != 1 {
			t.Fatalf("a damaged message took the route of another workload away: %v", damaged)
		}
	}
	if applied < 1000 {
		t.Errorf("only %d damaged messages could be decoded", applied)
	}
}

func TestMerge_KeepsWhatADifferenceDoesNotName(t *testing.T) {
	t.Parallel()
	old := &runwayv1.RouteSet{Generation: 1, Full: true, Domain: "old", Routes: []*runwayv1.Route{newRoute("api"), newRoute("web"), newRoute("gone")}}
	got := merge(old, &runwayv1.RouteSet{
		Generation: 2, Domain: "new", Removed: []*runwayv1.WorkloadKey{key("gone")}, Routes: []*runwayv1.Route{newRoute("web", "10.0.0.1:1")},
		Ingresses: []*runwayv1.IngressRecord{{Name: "edge-1"}},
	})
	if len(got.GetRoutes()) != 2 || got.GetRoutes()[0].GetWorkload().GetService() != "api" || len(got.GetRoutes()[1].GetEndpoints()) != 1 {
		t.Errorf("routes = %v", got.GetRoutes())
	}
	if !got.GetFull() || got.GetGeneration() != 2 || got.GetDomain() != "new" || len(got.GetIngresses()) != 1 {
		t.Errorf("set = %v", got)
	}
	if len(old.GetRoutes()) != 3 {
		t.Error("the old set was changed")
	}
}
