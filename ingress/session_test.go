package ingress

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/ingress/stats"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestSession_ConfirmsOnceNewNamesHaveCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		i, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		stream := <-f.streams
		if hello := next(t, f, hellos); hello.GetName() != "edge-1" || hello.GetFacts().GetRegion() != "local" {
			t.Errorf("hello = %v", hello)
		}
		send(t, stream, &runwayv1.RouteSet{Generation: 5, Full: true, Routes: []*runwayv1.Route{newRoute("web", "10.0.0.1:20000")}})
		want := &runwayv1.RouteAck{Incarnation: testIncarnation, Generation: 5}
		if diff := cmp.Diff(want, next(t, f, acks), protocmp.Transform()); diff != "" {
			t.Errorf("confirmation (-want +got):\n%s", diff)
		}
		if _, err := i.certs.Certificate("web.default.example.com"); err != nil {
			t.Errorf("confirmed without a certificate: %v", err)
		}
		if diff := cmp.Diff([]string{"web.default.example.com"}, f.signed); diff != "" {
			t.Errorf("signed names (-want +got):\n%s", diff)
		}
	})
}

func TestSession_ANameWithoutCertificateHoldsUpNothingForLong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		f.failSigning(errors.New("no authority"))
		_, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		stream := <-f.streams
		start := time.Now()
		send(t, stream, &runwayv1.RouteSet{Generation: 5, Full: true, Routes: []*runwayv1.Route{newRoute("web")}})
		ack := next(t, f, acks)
		if took := time.Since(start); took < certificateGrace || took > certificateGrace+time.Second {
			t.Errorf("confirmed after %v, want after the grace of %v", took, certificateGrace)
		}
		if len(ack.GetProblems()) != 1 || ack.GetProblems()[0].GetHost() != "web.default.example.com" ||
			ack.GetProblems()[0].GetCause().GetCode() != "RW-4101" || ack.GetProblems()[0].GetWorkload().GetService() != "web" {
			t.Errorf("confirmation = %v, want problem RW-4101 for the name of web", ack)
		}
		start = time.Now()
		send(t, stream, &runwayv1.RouteSet{Generation: 6, Removed: nil})
		if ack := next(t, f, acks); ack.GetGeneration() != 6 || time.Since(start) > 100*time.Millisecond {
			t.Errorf("the next generation was confirmed as %v after %v, want at once", ack, time.Since(start))
		}
		f.failSigning(nil)
		if ack := next(t, f, acks); ack.GetGeneration() != 6 || len(ack.GetProblems()) != 0 {
			t.Errorf("after signing works = %v, want generation 6 without problems", ack)
		}
	})
}

func TestSession_TellsWhichReplicasAreHeldAndWhenTheyAreFree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		i, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		stream := <-f.streams
		send(t, stream, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: []*runwayv1.Route{newRoute("web", "10.0.0.1:20000")}})
		next(t, f, acks)
		lease, err := i.live.Acquire(route.Public, "web.default.example.com", time.Now(), &route.Tried{})
		if err != nil {
			t.Fatal(err)
		}
		send(t, stream, &runwayv1.RouteSet{Generation: 2, Routes: []*runwayv1.Route{newRoute("web")}})
		if ack := next(t, f, acks); ack.GetGeneration() != 2 || len(ack.GetHeld()) != 1 || ack.GetHeld()[0] != "web-a" {
			t.Errorf("confirmation = %v, want web-a held", ack)
		}
		lease.Release()
		if ack := next(t, f, acks); ack.GetGeneration() != 2 || len(ack.GetHeld()) != 0 {
			t.Errorf("confirmation = %v, want nothing held", ack)
		}
	})
}

func TestSession_ReportsOddEntriesAndServesTheRest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		i, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		odd := newRoute("web", "10.0.0.1:20000", "nonsense")
		send(t, <-f.streams, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: []*runwayv1.Route{odd, {}, newRoute("api", "10.0.0.2:20000")}})
		ack := next(t, f, acks)
		if len(ack.GetProblems()) != 2 || ack.GetProblems()[0].GetCause().GetCode() != "RW-4201" {
			t.Errorf("confirmation = %v, want two problems RW-4201", ack)
		}
		for _, host := range []string{"web.default.example.com", "api.default.example.com"} {
			if r, ok := i.live.Table().Lookup(route.Public, host); !ok || len(r.Endpoints) != 1 {
				t.Errorf("%s has no route to its good replica", host)
			}
		}
	})
}

// RELIABILITY C2.
func TestC2_RefusesOldAndForeignSetsAndKeepsItsOwn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  *runwayv1.RouteSet
	}{
		{"older generation", &runwayv1.RouteSet{Generation: 4, Full: true}},
		{"set of another incarnation", &runwayv1.RouteSet{Incarnation: "second", Generation: 9, Full: true}},
		{"repeated difference", &runwayv1.RouteSet{Generation: 5, Withdrawn: []*runwayv1.WorkloadKey{key("web")}, Removed: []*runwayv1.WorkloadKey{key("web")}}},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeCoordinator(t)
				i, stop := follow(t, config(t, dir, f.dial(t)))
				defer stop()
				stream := <-f.streams
				send(t, stream, &runwayv1.RouteSet{Generation: 5, Full: true, Routes: []*runwayv1.Route{newRoute("web", "10.0.0.1:20000")}})
				next(t, f, acks)
				send(t, stream, tt.set)
				<-f.streams // it hung up and came back
				if got := i.session.refused.Load(); got != 1 {
					t.Errorf("%d sets refused, want 1", got)
				}
				if table := i.live.Table(); table.Generation() != 5 || table.Len() != 1 {
					t.Errorf("table is at %d with %d routes, want 5 with 1", table.Generation(), table.Len())
				}
			})
		})
	}
}

func TestSession_TakesANewIncarnationAfterItsWelcome(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		_, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		send(t, <-f.streams, &runwayv1.RouteSet{Generation: 500, Full: true})
		next(t, f, acks)
		f.endSessions("second")
		send(t, <-f.streams, &runwayv1.RouteSet{Incarnation: "second", Generation: 1, Full: true})
		if ack := next(t, f, acks); ack.GetIncarnation() != "second" || ack.GetGeneration() != 1 {
			t.Errorf("confirmation = %v, want generation 1 of second", ack)
		}
	})
}

func TestSession_ServesFromDiskAndSaysWhatItServes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		_, stop := follow(t, config(t, dir, f.dial(t)))
		stream := <-f.streams
		send(t, stream, &runwayv1.RouteSet{Generation: 1, Full: true, Domain: "example.com", Routes: []*runwayv1.Route{newRoute("web", "10.0.0.1:20000"), newRoute("api")}})
		next(t, f, acks)
		send(t, stream, &runwayv1.RouteSet{Generation: 2, Domain: "example.com", Removed: []*runwayv1.WorkloadKey{key("api")}, Withdrawn: []*runwayv1.WorkloadKey{key("api")}})
		next(t, f, acks)
		synctest.Wait()
		stop()

		dead := newFakeCoordinator(t)
		dead.failSigning(errors.New("no coordinator"))
		i, err := New(config(t, dir, dead.dial(t)))
		if err != nil {
			t.Fatal(err)
		}
		defer i.sockets.close()
		lease, err := i.live.Acquire(route.Public, "web.default.example.com", time.Now(), &route.Tried{})
		if err != nil || lease.Target.Replica != "web-a" {
			t.Fatalf("after a restart without a coordinator: %v", err)
		}
		lease.Release()
		if _, err := i.certs.Certificate("web.default.example.com"); err != nil {
			t.Errorf("after a restart without a coordinator: %v", err)
		}
		if table := i.live.Table(); table.Generation() != 2 || table.Incarnation() != testIncarnation {
			t.Errorf("serves generation %d of %q, want 2 from disk", table.Generation(), table.Incarnation())
		}
		if set := i.Routes(); len(set.GetRoutes()) != 1 || set.GetDomain() != "example.com" {
			t.Errorf("Routes() = %v", set)
		}
	})
}

func TestSession_StartsEmptyOnADamagedFile(t *testing.T) {
	t.Parallel()
	good := &runwayv1.RouteSet{Incarnation: testIncarnation, Generation: 1, Full: true, Routes: []*runwayv1.Route{newRoute("web")}}
	for _, damage := range []struct {
		name string
		to   func([]byte) []byte
	}{
		{"bit", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		{"cut", func(b []byte) []byte { return b[:len(b)-3] }},
		{"empty", func([]byte) []byte { return nil }},
		{"other", func([]byte) []byte { return []byte("something else entirely") }},
	} {
		t.Run(damage.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "routes")
			if err := writeSet(path, good); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage.to(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if set, _, err := readSet(path); !errors.Is(err, errDamaged) {
				t.Errorf("readSet = %v, %v; want %v", set, err, errDamaged)
			}
		})
	}
}

func TestSession_BeatsAndReportsCountsAlsoOfTheTimeWithoutSession(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		i, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		send(t, <-f.streams, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: []*runwayv1.Route{newRoute("web", "10.0.0.1:20000")}})
		if first := next(t, f, beatsOf); first.GetSequence() != 1 {
			t.Errorf("the beat that goes with the first set has number %d", first.GetSequence())
		}
		start := time.Now()
		for n := range uint64(3) {
			beat := next(t, f, beatsOf)
			if beat.GetSequence() != n+2 {
				t.Errorf("beat %d has number %d", n+2, beat.GetSequence())
			}
		}
		if took := time.Since(start); took < 2*time.Second || took > 4*time.Second {
			t.Errorf("3 beats took %v, want about 3 s", took)
		}
		told := time.Now()
		f.endSessions(testIncarnation)
		series := i.stats.Series(stats.Key{Space: "default", Service: "web", Environment: "production", Revision: 3})
		series.Begin()
		series.End(200, 3*time.Millisecond)
		<-f.streams
		message := next(t, f, counts)
		if covers := message.GetCovers().AsDuration(); covers != time.Since(told) || covers == 0 {
			t.Errorf("the statistics cover %v, want all since the last beat of the session before, %v", covers, time.Since(told))
		}
		got := message.GetWorkloads()
		if len(got) != 1 || got[0].GetRevision() != 3 || got[0].GetResponses()[1] != 1 || got[0].GetLatency()[2] != 1 {
			t.Errorf("statistics = %v, want the one request", got)
		}
	})
}

// Asked for, statistics come at once, also when there is nothing to tell, and say
// what they answer.
func TestSession_AnswersARequestForStatistics(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		i, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		stream := <-f.streams
		send(t, stream, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: []*runwayv1.Route{newRoute("web", "10.0.0.1:20000")}})
		next(t, f, acks)
		series := i.stats.Series(stats.Key{Space: "default", Service: "web", Environment: "production", Revision: 3})
		for request, requests := range []int{1, 0} {
			for range requests {
				series.Begin()
				series.End(200, time.Millisecond)
			}
			start := time.Now()
			if err := stream.Send(&runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Stats{
				Stats: &runwayv1.StatsRequest{Request: uint64(request + 1)},
			}}); err != nil {
				t.Fatal(err)
			}
			got := next(t, f, counts)
			if got.GetRequest() != uint64(request+1) || len(got.GetWorkloads()) != requests || time.Since(start) > beatInterval/10 {
				t.Errorf("request %d: statistics %v after %v, want %d requests at once", request+1, got, time.Since(start), requests)
			}
		}
	})
}

func TestSession_ComesBackAfterEveryKindOfRefusal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		_, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		for range 5 {
			stream := <-f.streams
			start := time.Now()
			if err := stream.Send(&runwayv1.RouteMessage{}); err != nil && status.Code(err) != codes.Canceled {
				t.Fatal(err)
			}
			next(t, f, hellos)
			if took := time.Since(start); took > 2*lastRetry {
				t.Errorf("came back after %v", took)
			}
		}
	})
}

// ending is a session that ends while the ingress sends: Send says only that it has.
type ending struct {
	runwayv1.IngressSessionClient
	grpc.ClientStream
	sent, received int
	ended          chan struct{}
}

func (e *ending) Connect(context.Context, ...grpc.CallOption) (runwayv1.IngressSession_ConnectClient, error) {
	return e, nil
}

func (e *ending) Send(*runwayv1.IngressMessage) error {
	if e.sent++; e.sent == 1 {
		return nil // hello
	}
	close(e.ended)
	return io.EOF
}

func (e *ending) Recv() (*runwayv1.RouteMessage, error) {
	if e.received++; e.received == 1 {
		return &runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Welcome{Welcome: &runwayv1.IngressWelcome{Incarnation: testIncarnation}}}, nil
	}
	<-e.ended
	return nil, status.Error(codes.Aborted, "the machine was removed")
}

// An ingress that is removed has to know it also when it was just sending: its routes
// are not certainly true any more.
func TestSession_KnowsWhyItEndedWhileItSent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		i, stop := follow(t, config(t, dir, newFakeCoordinator(t).dial(t)))
		stop()
		i.standing.Extend(time.Now().Add(time.Minute))
		_, err := i.session.follow(t.Context(), &ending{ended: make(chan struct{})}, func() {})
		if status.Code(err) != codes.Aborted || i.standing.Good(time.Now()) {
			t.Errorf("ended with %v, routes certainly true: %v; want aborted, and not", err, i.standing.Good(time.Now()))
		}
	})
}
