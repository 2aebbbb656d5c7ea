package dispatch

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// fakeIngress is the other end of an ingress session.
type fakeIngress struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[runwayv1.IngressMessage, runwayv1.RouteMessage]
	id     string
}

func (b *bench) ingress(id string) *fakeIngress {
	b.t.Helper()
	return b.ingressThat(id, false)
}

// ingressThat has its beats answered, or is too old to ask for it.
func (b *bench) ingressThat(id string, answerBeats bool) *fakeIngress {
	b.t.Helper()
	stream, err := runwayv1.NewIngressSessionClient(b.conn).Connect(b.as(runwayv1.Role_ROLE_INGRESS, id))
	if err != nil {
		b.t.Fatal(err)
	}
	i := &fakeIngress{t: b.t, stream: stream, id: id}
	i.send(&runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Hello{Hello: &runwayv1.IngressHello{
		Name: id, Facts: coordinatortest.RegisterIngress(id).GetFacts(), AnswerBeats: answerBeats,
	}}})
	if welcome := i.receive().GetWelcome(); welcome.GetIngress() != id || welcome.GetIncarnation() != "first" {
		b.t.Fatalf("welcome = %v", welcome)
	}
	return i
}

func (i *fakeIngress) send(message *runwayv1.IngressMessage) {
	i.t.Helper()
	if err := i.stream.Send(message); err != nil {
		i.t.Fatalf("ingress %s sends: %v", i.id, err)
	}
}

func (i *fakeIngress) receive() *runwayv1.RouteMessage {
	i.t.Helper()
	message, err := i.stream.Recv()
	if err != nil {
		i.t.Fatalf("ingress %s receives: %v", i.id, err)
	}
	return message
}

func (i *fakeIngress) ack(generation uint64, held ...string) {
	i.t.Helper()
	i.send(&runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Ack{Ack: &runwayv1.RouteAck{
		Incarnation: "first", Generation: generation, Held: held,
	}}})
}

func (i *fakeIngress) ends(want codes.Code) {
	i.t.Helper()
	for {
		if _, err := i.stream.Recv(); err != nil {
			if got := status.Code(err); got != want {
				i.t.Fatalf("session of %s ended with %v, want %v", i.id, err, want)
			}
			return
		}
	}
}

func routeTo(service string, endpoints ...string) *runwayv1.Route {
	route := &runwayv1.Route{
		Workload: coordinatortest.Key(service), Hosts: []string{service + ".default.runway.localhost"},
		InternalHosts: []string{service + ".default.internal"},
	}
	for _, e := range endpoints {
		route.Endpoints = append(route.Endpoints, &runwayv1.Endpoint{Replica: e, Address: "10.0.0.1:20000"})
	}
	return route
}

func setOf(generation uint64, routes ...*runwayv1.Route) *runwayv1.RouteSet {
	return &runwayv1.RouteSet{Incarnation: "first", Generation: generation, Full: true, Domain: "runway.localhost", Routes: routes}
}

func TestIngress_FullSetThenDifferences(t *testing.T) {
	t.Parallel()
	b := newBench(t, coordinatortest.NewState(t), nil)
	b.routes.publish(setOf(5, routeTo("a", "r1"), routeTo("b", "r2")))
	i := b.ingress("i1")
	if got := i.receive().GetRoutes(); !got.GetFull() || len(got.GetRoutes()) != 2 || got.GetGeneration() != 5 {
		t.Fatalf("first set = %v", got)
	}
	b.routes.publish(setOf(6, routeTo("a", "r1"), routeTo("c", "r3")))
	want := &runwayv1.RouteSet{
		Incarnation: "first", Generation: 6, Base: 5, Domain: "runway.localhost",
		Routes: []*runwayv1.Route{routeTo("c", "r3")}, Removed: []*runwayv1.WorkloadKey{coordinatortest.Key("b")},
	}
	if diff := cmp.Diff(want, i.receive().GetRoutes(), protocmp.Transform()); diff != "" {
		t.Errorf("difference (-want +got):\n%s", diff)
	}
	if got := b.state.View().Ingress("i1").GetStatus().GetPhase(); got != runwayv1.IngressPhase_INGRESS_PHASE_LIVE {
		t.Errorf("phase = %v", got)
	}
}

func TestIngress_ConfirmationReachesTheControllers(t *testing.T) {
	t.Parallel()
	b := newBench(t, coordinatortest.NewState(t), nil)
	b.routes.publish(setOf(5, routeTo("a", "r1")))
	i := b.ingress("i1")
	if got := b.presence.Acks()["i1"]; got.Generation != 0 || got.Incarnation != "" {
		t.Errorf("before any confirmation: %+v", got)
	}
	i.receive()
	i.ack(5, "r0")
	want := presence.Ack{Incarnation: "first", Generation: 5, Held: []string{"r0"}}
	eventually(t, "confirmation", func() bool { return cmp.Equal(b.presence.Acks()["i1"], want) })
	if err := i.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	i.ends(codes.Unknown) // io.EOF
	eventually(t, "taken back", func() bool { return b.presence.Acks()["i1"].Generation == 0 })
}

func TestIngress_BeatsAreAnsweredToThoseWhoAsk(t *testing.T) {
	t.Parallel()
	b := newBench(t, coordinatortest.NewState(t), nil)
	b.routes.publish(setOf(5))
	beat := func(sequence uint64) *runwayv1.IngressMessage {
		return &runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Beat{Beat: &runwayv1.Beat{Sequence: sequence}}}
	}
	asks, older := b.ingressThat("i1", true), b.ingress("i2")
	for _, i := range []*fakeIngress{asks, older} {
		i.receive()
		i.send(beat(7))
	}
	if got := asks.receive(); got.GetBeat().GetSequence() != 7 {
		t.Errorf("answer to beat 7 = %v", got)
	}
	older.ack(5)
	eventually(t, "what comes after the beat is taken", func() bool { return b.presence.Acks()["i2"].Generation == 5 })
	b.routes.publish(setOf(6))
	if got := older.receive(); got.GetRoutes().GetGeneration() != 6 {
		t.Errorf("an ingress that does not ask received %v before the next set", got)
	}
}

func TestIngress_CannotConfirmWhatItWasNotSent(t *testing.T) {
	t.Parallel()
	b := newBench(t, coordinatortest.NewState(t), nil)
	b.routes.publish(setOf(5))
	i := b.ingress("i1")
	i.receive()
	i.ack(6)
	i.ends(codes.InvalidArgument)
	if got := b.presence.Acks()["i1"].Generation; got != 0 {
		t.Errorf("confirmed %d", got)
	}
}

func TestIngress_RestartConfirmsNothingUntilItDoes(t *testing.T) {
	t.Parallel()
	b := newBench(t, coordinatortest.NewState(t), nil)
	b.routes.publish(setOf(5))
	first := b.ingress("i1")
	first.receive()
	first.ack(5)
	eventually(t, "confirmation", func() bool { return b.presence.Acks()["i1"].Generation == 5 })
	second := b.ingress("i1")
	first.ends(codes.Aborted)
	if got := b.presence.Acks()["i1"].Generation; got != 0 {
		t.Errorf("after a restart generation %d counts as confirmed", got)
	}
	second.receive()
	second.ack(5)
	eventually(t, "confirmation", func() bool { return b.presence.Acks()["i1"].Generation == 5 })
}

func TestIngress_SilenceIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, coordinatortest.NewState(t), nil)
		b.routes.publish(setOf(5))
		i := b.ingress("i1")
		began := time.Now()
		i.ends(codes.Unavailable)
		if took := time.Since(began); took != silence {
			t.Errorf("cut after %v, want %v", took, silence)
		}
	})
}

func TestIngress_BusyButConfirmingIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, coordinatortest.NewState(t), nil)
		b.routes.publish(setOf(1))
		i := b.ingress("i1")
		// Each confirmation is one generation and three seconds behind.
		for generation := uint64(1); generation <= 10; generation++ {
			got := i.receive().GetRoutes()
			for ; got.GetFull() && got.GetGeneration() < generation; got = i.receive().GetRoutes() {
				continue // sent again, as it was not confirmed yet
			}
			if got.GetGeneration() != generation {
				t.Fatalf("generation %d, want %d", got.GetGeneration(), generation)
			}
			time.Sleep(3 * time.Second)
			b.routes.publish(setOf(generation + 1))
			synctest.Wait()
			i.ack(generation)
		}
		if !b.d.Connected("i1") {
			t.Error("an ingress that confirms was cut")
		}
	})
}

func TestIngress_RemovedIngressIsCut(t *testing.T) {
	t.Parallel()
	b := newBench(t, coordinatortest.NewState(t), nil)
	i := b.ingress("i1")
	b.state.Must(t, &runwayv1.RemoveIngress{Ingress: "i1"})
	i.ends(codes.Aborted)
}

func TestIngress_WithoutIPv4SourceIsRefused(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"", "::1", "2001:db8::9", "0.0.0.0", "::ffff:0.0.0.0", "edge.example", "192.0.2.1:80"} {
		b := newBench(t, coordinatortest.NewState(t), nil)
		stream, err := runwayv1.NewIngressSessionClient(b.conn).Connect(b.as(runwayv1.Role_ROLE_INGRESS, "i1"))
		if err != nil {
			t.Fatal(err)
		}
		facts := coordinatortest.RegisterIngress("i1").GetFacts()
		facts.SourceAddress = source
		hello := &runwayv1.IngressHello{Name: "i1", Facts: facts}
		if err := stream.Send(&runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Hello{Hello: hello}}); err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		details := status.Convert(err).Details()
		if len(details) != 1 || details[0].(*runwayv1.Cause).GetCode() != string(code.SpecInvalid) || b.state.View().Ingress("i1") != nil {
			t.Errorf("source %q: got %v with %v, want it refused with a code", source, err, details)
		}
	}
}

// Agents let in what is an IPv4 address, however it is written.
func TestIngress_IPv4SourceIsTakenHoweverWritten(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"192.0.2.1", "::ffff:192.0.2.1"} {
		if err := checkSource(source); err != nil {
			t.Errorf("source %q: %v", source, err)
		}
	}
}

func TestIngress_OtherRolesAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, coordinatortest.NewState(t), nil)
	stream, err := runwayv1.NewIngressSessionClient(b.conn).Connect(b.as(runwayv1.Role_ROLE_NODE, "n1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
		t.Errorf("node at the ingress session: %v", err)
	}
	_, err = runwayv1.NewIngressSessionClient(b.conn).SignCertificate(b.as(runwayv1.Role_ROLE_NODE, "n1"), &runwayv1.SignCertificateRequest{})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("node asks for a service's certificate: %v", err)
	}
}

func TestIngress_StatisticsThatCannotBeTrueAreCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t, coordinatortest.NewState(t), nil)
	i := b.ingress("i1")
	i.serve(0, answers("a", 1, 7, 0), &runwayv1.WorkloadStats{Workload: coordinatortest.Key("b"), LatencySum: math.NaN()})
	eventually(t, "refusal", func() bool { return testutil.ToFloat64(b.d.metrics.implausible) == 1 })
}

func (i *fakeIngress) serve(request uint64, samples ...*runwayv1.WorkloadStats) {
	i.t.Helper()
	i.send(&runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Stats{Stats: &runwayv1.IngressStats{Workloads: samples, Request: request}}})
}

func answers(service string, revision, good, bad uint64) *runwayv1.WorkloadStats {
	return &runwayv1.WorkloadStats{Workload: coordinatortest.Key(service), Revision: revision, Responses: []uint64{0, good, 0, 0, bad}}
}

// What an ingress sends after a deployment began is in its tally, even when nobody
// has opened one yet; what it sends without one is not.
func TestIngress_StatisticsAreTalliedFromTheStartOfADeployment(t *testing.T) {
	t.Parallel()
	s := coordinatortest.NewState(t, coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), 1))
	b := newBench(t, s, nil)
	i := b.ingress("i1")
	i.serve(0, answers("web", 1, 3, 1), answers("other", 1, 9, 9))
	want := map[uint64]presence.Served{1: {Requests: 4, Failed: 1}}
	eventually(t, "tally", func() bool { return cmp.Equal(b.presence.Tallies()["d1"].Revisions, want) })
	if got := b.presence.Tallies(); len(got) != 1 {
		t.Errorf("tallies %v, want one of the deployment in progress", got)
	}
}

// An ingress that is connected is asked at once when a tally closes, and one that
// comes later when it comes.
func TestIngress_IsAskedForStatistics(t *testing.T) {
	t.Parallel()
	s := coordinatortest.NewState(t, coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), 1))
	b := newBench(t, s, nil)
	first := b.ingress("i1")
	b.presence.OpenTally("d1", coordinatortest.ID("web"), time.Now())
	b.presence.CloseTally("d1", []string{"i1", "i2"}, time.Now())
	if got := first.receive().GetStats().GetRequest(); got != 1 {
		t.Errorf("i1 was asked with %d, want 1", got)
	}
	second := b.ingress("i2")
	if got := second.receive().GetStats().GetRequest(); got != 1 {
		t.Errorf("i2 was asked with %d, want 1", got)
	}
	first.serve(1, answers("web", 1, 2, 0))
	second.serve(0, answers("web", 1, 3, 0))
	second.serve(1)
	eventually(t, "both answered", func() bool { return len(b.presence.Tallies()["d1"].Unanswered) == 0 })
	if got := b.presence.Tallies()["d1"].Revisions[1].Requests; got != 5 {
		t.Errorf("%d requests, want 5", got)
	}
}

func TestIngress_EndOfASessionIsNoted(t *testing.T) {
	t.Parallel()
	s := coordinatortest.NewState(t, coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), 1))
	b := newBench(t, s, nil)
	b.presence.OpenTally("d1", coordinatortest.ID("web"), time.Now())
	b.ingress("i1")
	b.ingress("i1") // ends the session before
	eventually(t, "interruption", func() bool { return cmp.Equal(b.presence.Tallies()["d1"].Interrupted, []string{"i1"}) })
}

func request(t *testing.T, names ...string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func TestSignCertificate_OnlyRoutedNames(t *testing.T) {
	t.Parallel()
	b := newBench(t, coordinatortest.NewState(t), nil)
	b.routes.publish(setOf(5, routeTo("a", "r1")))
	public, internal := "a.default.runway.localhost", "a.default.internal"
	tests := []struct {
		name  string
		names []string
		csr   []byte
		want  codes.Code
	}{
		{"public and internal", []string{public, internal}, request(t, public), codes.OK},
		{"not routed", []string{"b.default.runway.localhost"}, request(t), codes.PermissionDenied},
		{"one of two not routed", []string{public, "evil.example"}, request(t), codes.PermissionDenied},
		{"other case", []string{"A.default.runway.localhost"}, request(t), codes.PermissionDenied},
		{"wildcard", []string{"*.default.runway.localhost"}, request(t), codes.PermissionDenied},
		{"request asks for more", []string{public}, request(t, "evil.example"), codes.InvalidArgument},
		{"no names", nil, request(t), codes.InvalidArgument},
		{"damaged request", []string{public}, []byte("x"), codes.InvalidArgument},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer, err := runwayv1.NewIngressSessionClient(b.conn).SignCertificate(
				b.as(runwayv1.Role_ROLE_INGRESS, "i1"), &runwayv1.SignCertificateRequest{Csr: tt.csr, Names: tt.names})
			if status.Code(err) != tt.want {
				t.Fatalf("SignCertificate = %v, want %v", err, tt.want)
			}
			if err != nil {
				return
			}
			certificate, err := identity.ParseCertificate(answer.GetChain())
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range tt.names {
				_, err := certificate.Verify(x509.VerifyOptions{Roots: b.authority.Pool(), DNSName: name})
				if err != nil {
					t.Errorf("certificate for %q: %v", name, err)
				}
			}
		})
	}
	b.resign()
	_, err := runwayv1.NewIngressSessionClient(b.conn).SignCertificate(b.as(runwayv1.Role_ROLE_INGRESS, "i1"),
		&runwayv1.SignCertificateRequest{Csr: request(t), Names: []string{public}})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("follower signs: %v", err)
	}
}

// TestDifference_BringsAnyReceiverUpToDate applies the differences between random
// sets, of which some are skipped, as a slow receiver would see them.
func TestDifference_BringsAnyReceiverUpToDate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var last *runwayv1.RouteSet
		held := map[state.WorkloadID]*runwayv1.Route{}
		for generation := range uint64(rapid.IntRange(1, 8).Draw(t, "sets")) {
			next := setOf(generation + 1)
			for _, service := range rapid.SliceOfNDistinct(rapid.IntRange(0, 6), 0, 6, rapid.ID).Draw(t, "services") {
				endpoint := fmt.Sprintf("r%d", rapid.IntRange(0, 2).Draw(t, "replica"))
				next.Routes = append(next.Routes, routeTo(fmt.Sprintf("s%d", service), endpoint))
			}
			message := difference(last, next)
			if message.GetFull() {
				clear(held)
			}
			for _, key := range message.GetRemoved() {
				delete(held, state.IDOf(key))
			}
			for _, route := range message.GetRoutes() {
				held[state.IDOf(route.GetWorkload())] = route
			}
			if diff := cmp.Diff(byWorkload(next), held, protocmp.Transform()); diff != "" {
				t.Fatalf("generation %d (-want +got):\n%s", generation+1, diff)
			}
			if difference(next, next) != nil {
				t.Fatal("the same set makes a difference")
			}
			last = next
		}
	})
}
