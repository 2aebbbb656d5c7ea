package ingress

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/ingress/certs"
	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/ingress/stats"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// RELIABILITY B17: what is in use is confirmed at once, and what is on disk only once
// it is: a restart would bring the older routes back. A write that fails is repeated.
func TestB17_ConfirmsWhatIsOnDiskApartAndRepeatsTheWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		i, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		stream := <-f.streams
		send(t, stream, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: []*runwayv1.Route{newRoute("web", "10.0.0.1:20000")}})
		next(t, f, acks)
		synctest.Wait()
		if got := f.saved.Load(); got != 1 || i.book.unsaved() {
			t.Fatalf("generation %d is said to be on disk, want 1", got)
		}
		block := filepath.Join(dir, "routes")
		if err := errors.Join(os.Remove(block), os.MkdirAll(filepath.Join(block, "in the way"), 0o700)); err != nil {
			t.Fatal(err)
		}
		send(t, stream, &runwayv1.RouteSet{Generation: 2, Routes: []*runwayv1.Route{newRoute("web")}})
		if ack := next(t, f, acks); ack.GetGeneration() != 2 {
			t.Errorf("confirmation = %v, want generation 2", ack)
		}
		time.Sleep(time.Minute)
		if got := f.saved.Load(); got != 1 || !i.book.unsaved() {
			t.Errorf("generation %d is said to be on disk, want 1", got)
		}
		if got := i.book.failed.Load(); got < 3 || got > 20 {
			t.Errorf("%d writes in a minute, want some with back-off", got)
		}
		if err := os.RemoveAll(block); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * lastSave)
		synctest.Wait()
		if got := f.saved.Load(); got != 2 || i.book.unsaved() {
			t.Errorf("generation %d is said to be on disk, want 2", got)
		}
	})
}

// A stream of new names whose certificates cannot be had holds no confirmation up.
func TestGrace_IsOneForAllNames(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ago := func(d time.Duration) certs.Missing { return certs.Missing{Since: now.Add(-d)} }
	for _, row := range []struct {
		name        string
		missing     []certs.Missing
		unconfirmed time.Duration
		want        time.Duration
	}{
		{"nothing is missing", nil, time.Second, 0},
		{"one new name", []certs.Missing{ago(0)}, 0, certificateGrace},
		{"one that had its time", []certs.Missing{ago(time.Minute)}, 0, 0},
		{"a newer one beside it", []certs.Missing{ago(time.Minute), ago(time.Second)}, time.Second, time.Second},
		{"one more each second", []certs.Missing{ago(2 * time.Second), ago(time.Second), ago(0)}, 2 * time.Second, 0},
	} {
		if got := max(0, grace(row.missing, now.Add(-row.unconfirmed), now)); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}

func TestSession_AStreamOfNewNamesIsConfirmedInTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		f.failSigning(errors.New("no authority"))
		_, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		stream := <-f.streams
		start, confirmed := time.Now(), uint64(0)
		for n := uint64(1); time.Since(start) < 20*time.Second; n++ {
			send(t, stream, &runwayv1.RouteSet{Generation: n, Full: n == 1, Routes: []*runwayv1.Route{newRoute(fmt.Sprint("s", n))}})
			time.Sleep(time.Second)
			for empty := false; !empty; {
				select {
				case m := <-f.said:
					confirmed = max(confirmed, m.GetAck().GetGeneration())
				default:
					empty = true
				}
			}
			if n > 4 && confirmed+4 < n {
				t.Fatalf("at generation %d only %d is confirmed", n, confirmed)
			}
		}
	})
}

// The first start with many names is no flood: news of names alone is told twice a
// second, bounded, the newest names first.
func TestSession_TellsOfManyNamesSeldomAndBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		f.failSigning(errors.New("no authority"))
		_, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		stream := <-f.streams
		const names = 500
		send(t, stream, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: services(names)})
		ack := next(t, f, acks)
		if len(ack.GetProblems()) != maxProblems || ack.GetProblemsOmitted() != names-maxProblems {
			t.Errorf("%d problems and %d more, want %d and %d", len(ack.GetProblems()), ack.GetProblemsOmitted(), maxProblems, names-maxProblems)
		}
		send(t, stream, &runwayv1.RouteSet{Generation: 2, Routes: []*runwayv1.Route{newRoute("newest")}})
		if ack := next(t, f, acks); ack.GetProblems()[0].GetHost() != "newest.default.example.com" {
			t.Errorf("the first problem is of %q, want the newest name", ack.GetProblems()[0].GetHost())
		}
		f.failSigning(nil)
		start, sent := time.Now(), 0
		for ack := (*runwayv1.RouteAck)(nil); ack == nil || len(ack.GetProblems()) > 0; sent++ {
			ack = next(t, f, acks)
		}
		if most := int(time.Since(start)/newsInterval) + 2; sent > most {
			t.Errorf("%d confirmations in %v, want %d at most", sent, time.Since(start), most)
		}
	})
}

// RELIABILITY C1: the age of the routes is 0 while they are followed, however quiet it
// is, and rises without a session, over a restart too.
func TestC1_AgeOfTheRoutesRisesWithoutACoordinator(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		age := func(i *Ingress) time.Duration {
			t.Helper()
			d, known := i.session.fresh.age(time.Now())
			if !known {
				t.Error("the age is not known")
			}
			return d
		}
		f := newFakeCoordinator(t)
		i, stop := follow(t, config(t, dir, f.dial(t)))
		if _, known := i.session.fresh.age(time.Now()); known {
			t.Error("there is an age before the first routes")
		}
		send(t, <-f.streams, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: []*runwayv1.Route{newRoute("web", "10.0.0.1:20000")}})
		next(t, f, acks)
		time.Sleep(10 * time.Minute)
		if got := age(i); got != 0 {
			t.Errorf("age in a quiet session = %v", got)
		}
		synctest.Wait()
		stop()
		time.Sleep(10 * time.Minute)
		if got := age(i); got < 10*time.Minute || got > 11*time.Minute {
			t.Errorf("age 10 minutes after the session = %v", got)
		}
		if err := os.Chtimes(filepath.Join(dir, "routes"), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		dead := newFakeCoordinator(t)
		dead.failSigning(errors.New("no coordinator"))
		again, err := New(config(t, dir, dead.dial(t)))
		if err != nil {
			t.Fatal(err)
		}
		defer again.sockets.close()
		if got := age(again); got < time.Hour || got > 2*time.Hour {
			t.Errorf("age after a restart = %v, want that of the file", got)
		}
		if n, err := testutil.GatherAndCount(again.cfg.Registry, "runway_ingress_route_age_seconds"); n != 1 || err != nil {
			t.Errorf("%d series of the age, %v", n, err)
		}
	})
}

// DNS is not emptied by a set without any address of an ingress.
func TestC2_KeepsTheAddressesOfIngresses(t *testing.T) {
	t.Parallel()
	b := newTestBook(t)
	record := []*runwayv1.IngressRecord{{Name: "edge", PublicAddresses: []string{"192.0.2.1"}}}
	set := func(generation uint64, force bool, ingresses []*runwayv1.IngressRecord) *runwayv1.RouteSet {
		return &runwayv1.RouteSet{Incarnation: testIncarnation, Generation: generation, Full: true, Force: force, Ingresses: ingresses}
	}
	for _, step := range []struct {
		name           string
		set            *runwayv1.RouteSet
		kept, problems int
	}{
		{"with an address", set(1, false, record), 1, 0},
		{"without any", set(2, false, nil), 1, 1},
		{"with one that has none", set(3, false, []*runwayv1.IngressRecord{{Name: "edge"}}), 1, 1},
		{"without any, forced", set(4, true, nil), 0, 0},
	} {
		if err := b.apply(step.set); err != nil {
			t.Fatal(err)
		}
		if got := b.routes().GetIngresses(); len(got) != step.kept || len(got) > 0 && !proto.Equal(got[0], record[0]) || len(b.refused()) != step.problems {
			t.Errorf("%s: ingresses %v, problems %v", step.name, got, b.refused())
		}
	}
}

// The ingress's own answers stay in the metrics as long as their service has a route.
func TestStays_SeriesOfTheIngressItself(t *testing.T) {
	t.Parallel()
	b := newTestBook(t)
	if err := b.apply(&runwayv1.RouteSet{Incarnation: testIncarnation, Generation: 1, Full: true, Routes: []*runwayv1.Route{newRoute("web", "10.0.0.1:20000")}}); err != nil {
		t.Fatal(err)
	}
	series := func(service string, revision uint64) stats.Key {
		return stats.Key{Space: "default", Service: service, Environment: "production", Revision: revision}
	}
	for key, want := range map[stats.Key]bool{
		series("web", 0): true, series("web", 3): true, series("web", 2): false, series("api", 0): false, series("api", 3): false,
	} {
		if got := stays(b.live.Table(), key); got != want {
			t.Errorf("stays(%v) = %v, want %v", key, got, want)
		}
	}
	if _, ok := b.live.Table().Lookup(route.Public, "web.default.example.com"); !ok {
		t.Error("web has no route")
	}
}
