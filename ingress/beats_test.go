package ingress

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func beatsOf(m *runwayv1.IngressMessage) *runwayv1.Beat { return m.GetBeat() }

func TestSession_RoutesAreProvenForTwoSecondsAfterABeatThatIsAnswered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		i, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		stream := <-f.streams
		answer := func(beat *runwayv1.Beat) {
			t.Helper()
			if err := stream.Send(&runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Beat{Beat: beat}}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		want := func(good bool, when string) {
			t.Helper()
			if got := i.standing.Good(time.Now()); got != good {
				t.Errorf("%s: standing is good: %t, want %t", when, got, good)
			}
		}
		if !next(t, f, hellos).GetAnswerBeats() {
			t.Error("hello does not ask for answers")
		}
		early := next(t, f, beatsOf)
		answer(early)
		want(false, "a beat from before the first set")
		send(t, stream, &runwayv1.RouteSet{Generation: 5, Full: true})
		first := next(t, f, beatsOf)
		want(false, "in use, not answered")
		answer(early)
		answer(&runwayv1.Beat{Sequence: first.GetSequence() + 8})
		want(false, "answers to other beats")
		answer(first)
		want(true, "answered")
		time.Sleep(1900 * time.Millisecond)
		want(true, "nearly 2 s")
		time.Sleep(200 * time.Millisecond)
		want(false, "2 s without an answer")
		last := next(t, f, beatsOf)
		time.Sleep(3 * time.Second)
		answer(last)
		want(false, "an answer that comes 2 s after its beat")
	})
}

// A session that just breaks leaves the proof as it is: an election is no reason to ask.
func TestSession_AnIngressThatIsRemovedOrReplacedHasNoProof(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		end  error
		good bool
	}{
		{"broken", status.Error(codes.Unavailable, "leadership ended"), true},
		{"removed or replaced", status.Error(codes.Aborted, "the machine was removed"), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				f := newFakeCoordinator(t)
				f.last = row.end
				i, stop := follow(t, config(t, dir, f.dial(t)))
				defer stop()
				stream := <-f.streams
				send(t, stream, &runwayv1.RouteSet{Generation: 5, Full: true})
				if err := stream.Send(&runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Beat{Beat: next(t, f, beatsOf)}}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if !i.standing.Good(time.Now()) {
					t.Fatal("no proof after an answered beat")
				}
				f.endSessions(testIncarnation)
				synctest.Wait()
				if got := i.standing.Good(time.Now()); got != row.good {
					t.Errorf("standing is good: %t, want %t", got, row.good)
				}
			})
		})
	}
}

func TestSession_ASetThatIsWithheldProvesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		i, stop := follow(t, config(t, dir, f.dial(t)))
		defer stop()
		stream := <-f.streams
		many := &runwayv1.RouteSet{Generation: 5, Full: true}
		for _, service := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			many.Routes = append(many.Routes, newRoute(service, "10.0.0.1:20000"))
		}
		send(t, stream, many)
		next(t, f, beatsOf)
		send(t, stream, &runwayv1.RouteSet{Generation: 6, Full: true})
		if ack := next(t, f, acks); ack.GetGeneration() == 5 && ack.GetRefused() == 0 {
			next(t, f, acks)
		}
		beat := next(t, f, beatsOf)
		if err := stream.Send(&runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Beat{Beat: beat}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !i.session.withheld.Load() || i.standing.Good(time.Now()) {
			t.Errorf("withheld %t, standing is good %t; want true, false", i.session.withheld.Load(), i.standing.Good(time.Now()))
		}
	})
}
