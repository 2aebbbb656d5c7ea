package ingress

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/runway-platform/runway/ingress/handover"
	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/ingress/stats"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// succession is a predecessor and its successor in one process: all but the proxies.
type succession struct {
	f         *fakeCoordinator
	old, next *Ingress
	stop      func()
}

// succeed has the successor follow a coordinator and the predecessor follow it.
func succeed(t *testing.T, dir string) *succession {
	t.Helper()
	s := &succession{f: newFakeCoordinator(t)}
	way, far := pipe(t)
	s.old = alone(t, config(t, filepath.Join(dir, "old"), s.f.dial(t)))
	s.next = alone(t, config(t, filepath.Join(dir, "next"), s.f.dial(t)))
	s.next.predecessor = newPredecessor(s.next, func() error { t.Error("the predecessor was killed"); return nil })
	s.stop = background(t,
		s.old.certs.Run, s.old.book.run, func(ctx context.Context) error { _ = s.old.followSuccessor(ctx, far); return nil },
		s.next.certs.Run, s.next.book.run, s.next.session.run, func(ctx context.Context) error { s.next.predecessor.release(ctx, way); return nil },
	)
	return s
}

// alone is an ingress of which nothing runs yet.
func alone(t *testing.T, cfg Config) *Ingress {
	t.Helper()
	i, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.sockets.close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

// background runs everything until the returned function is called.
func background(t *testing.T, all ...func(context.Context) error) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, one := range all {
		wg.Go(func() {
			if err := one(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

// pipe is a way between two processes.
func pipe(t *testing.T) (one, other net.Conn) {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, _ := listener.Accept() // nil is seen at once
		accepted <- conn
	}()
	other, err := listener.DialContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return <-accepted, other
}

// served is a route of web whose one replica has the name.
func served(replica string) *runwayv1.Route {
	r := newRoute("web", "10.0.0.1:20000")
	r.Endpoints[0].Replica = replica
	return r
}

// acked waits for the confirmation of a generation; none of a later one may come before.
func acked(t *testing.T, f *fakeCoordinator, generation uint64) *runwayv1.RouteAck {
	t.Helper()
	for {
		ack := next(t, f, acks)
		if ack.GetGeneration() > generation {
			t.Fatalf("confirmed %v, want generation %d", ack, generation)
		}
		if ack.GetGeneration() == generation {
			return ack
		}
	}
}

// request begins one at the replica that web has.
func request(t *testing.T, i *Ingress) route.Lease {
	t.Helper()
	lease, err := i.live.Acquire(route.Public, "web.default.example.com", time.Now(), &route.Tried{})
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

// RELIABILITY row C5, with a deployment under way. What the successor confirms is true of
// the predecessor too: it routes by the new set, the replica that it still uses is held,
// and what it answered is counted.
func TestC5_ADeploymentGoesOnDuringAHandOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := succeed(t, dir)
		defer s.stop()
		stream := <-s.f.streams
		send(t, stream, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: []*runwayv1.Route{served("before")}})
		acked(t, s.f, 1)
		inFlight := request(t, s.old)
		series := s.old.stats.Series(stats.Key{Space: "default", Service: "web", Environment: "production", Revision: 3})
		series.Begin()

		send(t, stream, &runwayv1.RouteSet{Generation: 2, Routes: []*runwayv1.Route{served("after")}})
		if ack := acked(t, s.f, 2); len(ack.GetHeld()) != 1 || ack.GetHeld()[0] != "before" {
			t.Fatalf("confirmation = %v, want the replica held that the predecessor uses", ack)
		}
		for _, i := range []*Ingress{s.old, s.next} {
			lease := request(t, i)
			if lease.Target.Replica != "after" {
				t.Errorf("after the confirmation a request goes to %q", lease.Target.Replica)
			}
			lease.Release()
		}
		series.End(200, time.Millisecond)
		inFlight.Release()
		if ack := acked(t, s.f, 2); len(ack.GetHeld()) != 0 {
			t.Errorf("confirmation = %v, want nothing held", ack)
		}
		answered := uint64(0)
		for answered == 0 {
			for _, w := range next(t, s.f, counts).GetWorkloads() {
				answered += w.GetResponses()[1]
			}
		}
		if answered != 1 {
			t.Errorf("%d requests of the predecessor were told, want 1", answered)
		}
	})
}

// A set of another incarnation is passed on too, and is confirmed once both have it.
func TestC5_ANewIncarnationDuringAHandOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := succeed(t, dir)
		defer s.stop()
		send(t, <-s.f.streams, &runwayv1.RouteSet{Generation: 7, Full: true, Routes: []*runwayv1.Route{served("before")}})
		acked(t, s.f, 7)
		s.f.endSessions("second")
		send(t, <-s.f.streams, &runwayv1.RouteSet{Incarnation: "second", Generation: 3, Full: true, Routes: []*runwayv1.Route{served("after")}})
		for ack := next(t, s.f, acks); ack.GetIncarnation() != "second" || ack.GetGeneration() != 3; {
			ack = next(t, s.f, acks)
		}
		lease := request(t, s.old)
		defer lease.Release()
		if lease.Target.Replica != "after" {
			t.Errorf("after the confirmation the predecessor sends to %q", lease.Target.Replica)
		}
	})
}

// A predecessor that hangs must not hold up every deployment, nor may it be believed to
// route by what it does not confirm: it is killed, before the coordinator's 5 s are over.
func TestC5_AHungPredecessorIsKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		way, far := pipe(t)
		i := alone(t, config(t, dir, f.dial(t)))
		killed := make(chan time.Time, 1)
		i.predecessor = newPredecessor(i, func() error { killed <- time.Now(); return far.Close() })
		defer background(t, i.certs.Run, i.book.run, i.session.run, func(ctx context.Context) error { i.predecessor.release(ctx, way); return nil })()
		stream := <-f.streams
		send(t, stream, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: []*runwayv1.Route{served("before")}})
		acked(t, f, 0) // with the predecessor, of which nothing is known
		dialHung(t, far).confirm(t, 1)
		acked(t, f, 1)

		start := time.Now()
		for generation := uint64(2); generation <= 40; generation++ { // the wait does not begin anew
			send(t, stream, &runwayv1.RouteSet{Generation: generation, Routes: []*runwayv1.Route{served("after")}})
			time.Sleep(50 * time.Millisecond)
		}
		acked(t, f, 40)
		if took := time.Since(start); took < patience || took > 4500*time.Millisecond {
			t.Errorf("confirmed after %v, want more than %v and less than the coordinator's 5 s", took, patience)
		}
		if took := (<-killed).Sub(start); took < patience {
			t.Errorf("killed after %v, want more than %v", took, patience)
		}
	})
}

// hung is a predecessor that confirms what it is told to and nothing else.
type hung struct {
	stream grpc.BidiStreamingClient[runwayv1.IngressMessage, runwayv1.RouteMessage]
}

func dialHung(t *testing.T, conn net.Conn) hung {
	t.Helper()
	client, err := grpc.NewClient("passthrough:///successor", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return conn, nil }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	stream, err := runwayv1.NewIngressSessionClient(client).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Hello{Hello: &runwayv1.IngressHello{}}}); err != nil {
		t.Fatal(err)
	}
	return hung{stream}
}

func (h hung) confirm(t *testing.T, generation uint64) {
	t.Helper()
	if err := h.stream.Send(&runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Ack{
		Ack: &runwayv1.RouteAck{Incarnation: testIncarnation, Generation: generation},
	}}); err != nil {
		t.Fatal(err)
	}
}

// A successor that crashes while its predecessor drains leaves nobody who tells what that
// one still uses, so it does itself, and it hands over to the process that comes next.
func TestC5_ASuccessorCrashesWhileItsPredecessorDrains(t *testing.T) {
	t.Parallel()
	dir, f := t.TempDir(), newFakeCoordinator(t)
	cfg := config(t, filepath.Join(dir, "old"), f.dial(t))
	cfg.Sockets = openSharedSockets(t, dir)
	old := alone(t, cfg)
	serving := make(chan struct{})
	close(serving)
	defer background(t, old.certs.Run, old.book.run, old.converse, func(ctx context.Context) error { return old.handOn(ctx, serving, nil) })()
	send(t, <-f.streams, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: []*runwayv1.Route{served("before")}})
	acked(t, f, 1)
	inFlight := request(t, old)
	defer inFlight.Release()

	crash := takeOverFrom(t, dir, f, filepath.Join(dir, "first"))
	send(t, <-f.streams, &runwayv1.RouteSet{Generation: 2, Full: true, Routes: []*runwayv1.Route{served("after")}})
	acked(t, f, 2)
	crash()
	send(t, <-f.streams, &runwayv1.RouteSet{Generation: 3, Full: true, Routes: []*runwayv1.Route{served("later")}})
	if ack := acked(t, f, 3); !ack.GetStopping() || len(ack.GetHeld()) != 1 || ack.GetHeld()[0] != "before" {
		t.Errorf("confirmation = %v, want of one that stops, with what it holds", ack)
	}
	defer takeOverFrom(t, dir, f, filepath.Join(dir, "second"))()
	send(t, <-f.streams, &runwayv1.RouteSet{Generation: 4, Full: true, Routes: []*runwayv1.Route{served("last")}})
	if ack := acked(t, f, 4); ack.GetStopping() || len(ack.GetHeld()) != 1 {
		t.Errorf("confirmation = %v, want of one that serves, with what its predecessor holds", ack)
	}
}

func openSharedSockets(t *testing.T, dir string) *handover.Sockets {
	t.Helper()
	s, err := handover.Open(dir, config(t, dir, nil).Log)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// takeOverFrom runs a successor of the process that offers its sockets in dir, and returns
// what crashes it.
func takeOverFrom(t *testing.T, dir string, f *fakeCoordinator, data string) (crash func()) {
	t.Helper()
	s := openSharedSockets(t, dir)
	again := time.NewTicker(20 * time.Millisecond) // each look opens the folder
	defer again.Stop()
	for deadline := time.Now().Add(10 * time.Second); !s.Claimed(); s = openSharedSockets(t, dir) {
		if time.Now().After(deadline) {
			t.Fatal("nobody offers its sockets")
		}
		<-again.C
	}
	conn, err := s.TakeOver()
	if err != nil {
		t.Fatal(err)
	}
	i := alone(t, config(t, data, f.dial(t)))
	i.predecessor = newPredecessor(i, func() error { return errors.New("it does not hang") })
	return background(t, i.certs.Run, i.book.run, i.session.run, func(ctx context.Context) error {
		i.predecessor.release(ctx, conn)
		return nil
	})
}
