package dispatch

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// refuse says that the ingress keeps generation instead of taking refused, with which
// going routes would go.
func (i *fakeIngress) refuse(generation, refused uint64, going uint32) {
	i.t.Helper()
	i.send(&runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Ack{Ack: &runwayv1.RouteAck{
		Incarnation: "first", Generation: generation, Refused: refused, GoingTotal: going, Going: []*runwayv1.WorkloadKey{coordinatortest.Key("b")},
	}}})
}

func withdrawing(set *runwayv1.RouteSet, services ...string) *runwayv1.RouteSet {
	for _, service := range services {
		set.Withdrawn = append(set.Withdrawn, coordinatortest.Key(service))
	}
	return set
}

// RELIABILITY C2: a full set has the evidence for everything, a difference for what it
// takes away.
func TestC2_EvidenceTravelsWithTheRemoval(t *testing.T) {
	t.Parallel()
	b := newBench(t, coordinatortest.NewState(t), nil)
	b.routes.publish(withdrawing(setOf(5, routeTo("a", "r1"), routeTo("b", "r2"), routeTo("c", "r3")), "old"))
	i := b.ingress("i1")
	if got := i.receive().GetRoutes(); len(got.GetWithdrawn()) != 1 || got.GetBase() != 0 {
		t.Errorf("full set = %v, want the evidence for old", got)
	}
	b.routes.publish(withdrawing(setOf(6, routeTo("a", "r1")), "old", "b"))
	got := i.receive().GetRoutes()
	want := []*runwayv1.WorkloadKey{coordinatortest.Key("b")}
	if diff := cmp.Diff(want, got.GetWithdrawn(), protocmp.Transform()); diff != "" || len(got.GetRemoved()) != 2 || got.GetBase() != 5 {
		t.Errorf("difference = %v, evidence (-want +got):\n%s", got, diff)
	}
}

// RELIABILITY C2: an ingress that refuses keeps its session however long it takes, gets
// everything whenever the routes change, and takes them once an operator says so.
func TestC2_RefusalKeepsTheSessionUntilItIsAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, coordinatortest.NewState(t), nil)
		b.routes.publish(setOf(5, routeTo("a", "r1"), routeTo("b", "r2")))
		i := b.ingress("i1")
		i.receive()
		i.ack(5)
		synctest.Wait()
		if err := b.d.AcceptRoutes("i1", 9); !errors.Is(err, ErrNothingRefused) {
			t.Errorf("nothing is refused: %v", err)
		}
		b.routes.publish(setOf(6))
		i.receive()
		i.refuse(5, 6, 2)
		time.Sleep(6 * silence)
		synctest.Wait()
		if !b.d.Connected("i1") {
			t.Fatal("an ingress that refuses was cut")
		}
		ack := b.presence.Acks()["i1"]
		if ack.Refusal.GetGeneration() != 6 || ack.Refusal.GetGoingTotal() != 2 || len(ack.Refusal.GetGoing()) != 1 {
			t.Errorf("refusal = %v", ack.Refusal)
		}
		b.routes.publish(setOf(7))
		if got := i.receive().GetRoutes(); !got.GetFull() || got.GetForce() || got.GetGeneration() != 7 {
			t.Errorf("after a refusal = %v, want the full set", got)
		}
		i.refuse(5, 7, 2)
		synctest.Wait()
		if err := b.d.AcceptRoutes("i1", 1); !errors.Is(err, ErrMoreGoing) {
			t.Errorf("more go than were shown: %v", err)
		}
		if err := b.d.AcceptRoutes("i2", 2); !errors.Is(err, ErrNoIngress) {
			t.Errorf("no such ingress: %v", err)
		}
		if err := b.d.AcceptRoutes("i1", 2); err != nil {
			t.Fatal(err)
		}
		if got := i.receive().GetRoutes(); !got.GetFull() || !got.GetForce() || got.GetGeneration() != 7 {
			t.Errorf("accepted = %v, want the full set with force", got)
		}
		i.ack(7)
		b.routes.publish(setOf(8, routeTo("a", "r1")))
		if got := i.receive().GetRoutes(); got.GetFull() || got.GetForce() || got.GetBase() != 7 {
			t.Errorf("after it was accepted = %v, want a difference without force", got)
		}
		i.ends(codes.Unavailable) // it is watched again
	})
}

// RELIABILITY C3: what is not confirmed is sent again as a whole, before the session is
// given up.
func TestC3_EverythingIsSentAgainWhenItIsNotConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, coordinatortest.NewState(t), nil)
		b.routes.publish(setOf(5, routeTo("a", "r1")))
		i := b.ingress("i1")
		i.receive()
		i.ack(5)
		synctest.Wait()
		b.routes.publish(setOf(6, routeTo("a", "r1"), routeTo("b", "r2")))
		start := time.Now()
		if got := i.receive().GetRoutes(); got.GetFull() {
			t.Fatalf("first = %v, want a difference", got)
		}
		if got := i.receive().GetRoutes(); !got.GetFull() || got.GetGeneration() != 6 || time.Since(start) != resend {
			t.Errorf("after %v = %v, want the full set after %v", time.Since(start), got, resend)
		}
		i.ack(6)
		time.Sleep(2 * silence)
		synctest.Wait()
		if !b.d.Connected("i1") {
			t.Error("an ingress that confirmed was cut")
		}
	})
}

func TestSignCertificate_WaitsForTheFirstRoutes(t *testing.T) {
	t.Parallel()
	b := newBench(t, coordinatortest.NewState(t), nil)
	name := "a.default.runway.localhost"
	_, err := runwayv1.NewIngressSessionClient(b.conn).SignCertificate(b.as(runwayv1.Role_ROLE_INGRESS, "i1"), &runwayv1.SignCertificateRequest{Csr: request(t, name), Names: []string{name}})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("before this leader has published: %v, want unavailable, to be tried again", err)
	}
}
