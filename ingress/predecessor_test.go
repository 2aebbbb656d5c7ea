package ingress

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/runway-platform/runway/ingress/caddy"
	"github.com/runway-platform/runway/ingress/handover"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// A coordinator that is away after a hand-over is no fault of the predecessor: its time to
// confirm a set begins when there is one to confirm, and not at the hand-over.
func TestC5_APredecessorIsSparedWhileTheCoordinatorIsAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := succeed(t, dir)
		defer s.stop()
		stream := <-s.f.streams
		time.Sleep(10 * time.Second) // without a set there is nothing to confirm
		send(t, stream, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: []*runwayv1.Route{served("after")}})
		acked(t, s.f, 1)
	})
}

// The time begins at the hand-over for a set that is in use by then, and not with the next
// beat: the coordinator waits no longer because of it.
func TestC5_APredecessorThatHangsFromTheStartIsKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeCoordinator(t)
		way, far := pipe(t)
		i := alone(t, config(t, dir, f.dial(t)))
		killed := make(chan time.Time, 1)
		i.predecessor = newPredecessor(i, func() error { killed <- time.Now(); return far.Close() })
		defer background(t, i.certs.Run, i.book.run, i.session.run)()
		send(t, <-f.streams, &runwayv1.RouteSet{Generation: 1, Full: true, Routes: []*runwayv1.Route{served("before")}})
		acked(t, f, 0) // with the predecessor, of which nothing is known
		time.Sleep(100 * time.Millisecond)
		told := time.Now()
		defer background(t, func(ctx context.Context) error { i.predecessor.release(ctx, way); return nil })()
		acked(t, f, 1)
		if took := (<-killed).Sub(told); took < patience || took > 4500*time.Millisecond {
			t.Errorf("killed after %v, want more than %v and less than the coordinator's 5 s", took, patience)
		}
	})
}

// A process that cannot serve ends at once: it waits for nobody, so that its session does
// not hold up what its predecessor confirms.
func TestIngress_EndsAtOnceWhenItCannotServe(t *testing.T) {
	stop := occupyCaddy(t)
	defer stop()
	i := alone(t, config(t, t.TempDir(), newFakeCoordinator(t).dial(t)))
	i.predecessor = newPredecessor(i, nil)
	select {
	case err := <-running(t.Context(), i):
		if !errors.Is(err, caddy.ErrRunning) {
			t.Errorf("Run = %v, want %v", err, caddy.ErrRunning)
		}
	case <-time.After(DefaultDrainTimeout / 2):
		close(i.predecessor.ended)
		t.Error("it waits for its predecessor")
	}
}

// A process that has served is the voice of its predecessor until that one has ended.
func TestIngress_EndsAfterItsPredecessor(t *testing.T) {
	door := &closing{bufconn.Listen(1), make(chan struct{})}
	cfg := config(t, t.TempDir(), newFakeCoordinator(t).dial(t))
	cfg.Listen = func(string, string) (net.Listener, error) { return door, nil }
	i, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	i.predecessor = newPredecessor(i, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := running(ctx, i)
	cancel()
	<-door.closed
	select {
	case err := <-ended:
		t.Fatalf("it ended before its predecessor: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	close(i.predecessor.ended)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A predecessor is told nothing by a process that did not come to serve: it serves on.
func TestHandOn_LeavesThePredecessorAloneWithoutServing(t *testing.T) {
	t.Parallel()
	i := alone(t, config(t, t.TempDir(), newFakeCoordinator(t).dial(t)))
	way, far := pipe(t)
	i.predecessor = newPredecessor(i, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := i.handOn(ctx, make(chan struct{}), &handover.Predecessor{Conn: way}); err != nil {
		t.Error(err)
	}
	if err := far.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if told, err := io.ReadAll(far); err != nil || len(told) > 0 {
		t.Errorf("the predecessor is told %q, %v, want the end", told, err)
	}
}

// running runs an ingress and sends how it ended.
func running(ctx context.Context, i *Ingress) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- i.Run(ctx) }()
	return ended
}

// occupyCaddy serves nothing with Caddy, of which a process has one, until stop is called.
func occupyCaddy(t *testing.T) (stop func()) {
	t.Helper()
	i := alone(t, config(t, filepath.Join(t.TempDir(), "other"), newFakeCoordinator(t).dial(t)))
	ctx, cancel := context.WithCancel(t.Context())
	serving, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- i.serve(ctx, ctx, func() { close(serving) }) }()
	select {
	case <-serving:
	case err := <-ended:
		t.Fatalf("caddy does not serve: %v", err)
	}
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// closing is a listener that tells of its end.
type closing struct {
	*bufconn.Listener
	closed chan struct{}
}

// Close closes the listener.
func (c *closing) Close() error {
	close(c.closed)
	return c.Listener.Close()
}
