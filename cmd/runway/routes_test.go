package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/dispatch"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/ingress"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// published is a source of routes that a test sets.
type published struct {
	mu      sync.Mutex
	set     *runwayv1.RouteSet
	changed chan struct{}
}

func (p *published) Current() (*runwayv1.RouteSet, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.set, p.changed
}

func (p *published) publish(set *runwayv1.RouteSet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set = set
	close(p.changed)
	p.changed = make(chan struct{})
}

// lossy is a stream to an ingress that drops, doubles and reorders sets of routes while
// it is bad. It knows nothing of what is in them.
type lossy struct {
	grpc.ServerStream
	ctx  context.Context
	line *line
	held any
}

// line is the weather of every stream.
type line struct {
	mu     sync.Mutex
	bad    bool
	random *rand.Rand
	fates  [4]int
}

func (l *line) fate() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.bad {
		return 3
	}
	fate := l.random.IntN(len(l.fates))
	l.fates[fate]++
	return fate
}

func (l *line) set(bad bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bad = bad
}

func (s *lossy) Context() context.Context { return s.ctx }

func (s *lossy) SendMsg(m any) error {
	if message, ok := m.(*runwayv1.RouteMessage); !ok || message.GetRoutes() == nil {
		return s.ServerStream.SendMsg(m)
	}
	switch s.line.fate() {
	case 0: // lost
		return nil
	case 1: // twice
		if err := s.ServerStream.SendMsg(m); err != nil {
			return err
		}
	case 2: // after the next one
		if s.held == nil {
			s.held = m
			return nil
		}
	}
	if err := s.ServerStream.SendMsg(m); err != nil {
		return err
	}
	if held := s.held; held != nil {
		s.held = nil
		return s.ServerStream.SendMsg(held)
	}
	return nil
}

// RELIABILITY C3: whatever is lost, doubled or reordered between coordinator and
// ingress, the ingress never confirms another content than the coordinator's, and has
// the newest within 5 s of the line being good.
func TestC3_IngressConvergesOverABadLine(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { converge(t, dir, seed) })
		})
	}
}

func converge(t *testing.T, dir string, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 3))
	weather := &line{bad: true, random: rand.New(rand.NewPCG(seed, 4))}
	routes, remembered := &published{changed: make(chan struct{})}, presence.New()
	process, stop := join(t, dir, weather, routes, remembered)
	defer stop()
	contents := map[uint64]string{}
	for generation := uint64(1); generation <= 60; generation++ {
		set := randomSet(random, generation)
		contents[generation] = content(set)
		routes.publish(set)
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		synctest.Wait()
		if got := process.Routes(); got.GetGeneration() > 0 && content(got) != contents[got.GetGeneration()] {
			t.Fatalf("generation %d in use is\n%s\nwant\n%s", got.GetGeneration(), content(got), contents[got.GetGeneration()])
		}
	}
	weather.set(false)
	start := time.Now()
	for remembered.Acks()["i1"].Generation != 60 {
		if time.Since(start) > 5*time.Second {
			t.Fatalf("generation %d is confirmed 5 s after the line is good, want 60; fates %v", remembered.Acks()["i1"].Generation, weather.fates)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := process.Routes(); content(got) != contents[60] {
		t.Errorf("in use is\n%s\nwant\n%s", content(got), contents[60])
	}
	if weather.fates[0] == 0 || weather.fates[1] == 0 || weather.fates[2] == 0 {
		t.Errorf("the line was not bad: %v", weather.fates)
	}
}

// randomSet has internal names only, so that no certificate is waited for.
func randomSet(random *rand.Rand, generation uint64) *runwayv1.RouteSet {
	set := &runwayv1.RouteSet{Incarnation: "first", Generation: generation, Full: true, Domain: "runway.localhost"}
	for n := range 6 {
		key := coordinatortest.Key(fmt.Sprint("s", n))
		if random.IntN(3) == 0 {
			set.Withdrawn = append(set.Withdrawn, key)
			continue
		}
		set.Routes = append(set.Routes, &runwayv1.Route{
			Workload: key, InternalHosts: []string{key.GetService() + ".default.internal"},
			Endpoints: []*runwayv1.Endpoint{{Replica: fmt.Sprint(n, "-", random.IntN(4)), Address: "10.0.0.1:20000"}},
		})
	}
	return set
}

func content(set *runwayv1.RouteSet) string {
	text := ""
	for _, r := range set.GetRoutes() {
		text += fmt.Sprintln(r.GetWorkload().GetService(), r.GetEndpoints()[0].GetReplica())
	}
	return text
}

// join runs an ingress, but for requests, on a session of a dispatcher over the line.
func join(t *testing.T, dir string, weather *line, routes *published, remembered *presence.Presence) (*ingress.Ingress, func()) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s := coordinatortest.NewState(t)
	remembered.Reset(time.Now())
	d := dispatch.New(dispatch.Config{
		Views: s.View, Applier: s, Routes: routes, Presence: remembered,
		Authority: func() *identity.Authority { return nil }, Leader: func() string { return "" }, Log: log,
	})
	who := caller.Caller{ID: "i1", Name: "i1", Role: runwayv1.Role_ROLE_INGRESS}
	server := grpc.NewServer(grpc.WaitForHandlers(true), grpc.StreamInterceptor(func(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		return next(service, &lossy{ServerStream: stream, ctx: caller.With(stream.Context(), who), line: weather})
	}))
	d.Register(server)
	listener := bufconn.Listen(1 << 16)
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	process, err := ingress.New(ingress.Config{
		Name: "i1", DataDir: dir, Coordinator: conn, Nodes: &tls.Config{MinVersion: tls.VersionTLS13}, Facts: &runwayv1.IngressFacts{Region: "local", SourceAddress: "192.0.2.1"}, HTTPS: []string{"127.0.0.1:0"},
		Listen:   func(string, string) (net.Listener, error) { return bufconn.Listen(1), nil },
		Registry: prometheus.NewRegistry(), DrainTimeout: time.Second, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for name, run := range map[string]func(context.Context) error{"dispatch": d.Run, "ingress": process.Follow} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	running.Go(func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("serve: %v", err)
		}
	})
	return process, func() {
		cancel()
		server.Stop()
		running.Wait()
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}
