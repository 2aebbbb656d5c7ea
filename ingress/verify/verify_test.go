package verify

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/runway-platform/runway/ingress/route"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAway = errors.New("agent is away")

// agents are what the agents of a cluster say.
type agents struct {
	mu     sync.Mutex
	says   map[string]map[uint32]string // by address of the agent
	takes  time.Duration
	asked  []time.Time
	closed bool
}

func (a *agents) Ask(ctx context.Context, address string) (map[uint32]string, error) {
	a.mu.Lock()
	says, takes := a.says[address], a.takes
	a.asked = append(a.asked, time.Now())
	a.mu.Unlock()
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if says == nil {
		return nil, errAway
	}
	return says, nil
}

func (a *agents) Close() { a.closed = true }

func (a *agents) questions() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

// say changes what an agent says; nil silences it.
func (a *agents) say(address string, replicas map[uint32]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.says[address] = replicas
}

// rig is a verifier with one node at 10.0.0.1, whose agent answers at agent1, and one
// workload with the replica r1 on 10.0.0.1:20000.
type rig struct {
	*Verifier
	t      *testing.T
	agents *agents
	live   *route.Live
	set    *runwayv1.RouteSet
	target *route.Target
}

const agent1, agent2 = "10.0.0.1:7444", "10.0.0.1:7445"

func newRig(t *testing.T, identities ...string) *rig {
	r := &rig{
		t: t, agents: &agents{says: map[string]map[uint32]string{agent1: {20000: "r1"}}}, live: route.NewLive(),
		set: &runwayv1.RouteSet{},
	}
	for _, identity := range identities {
		r.set.Networks = append(r.set.Networks, &runwayv1.NodeNetwork{NodeAddress: "10.0.0.1", IdentityAddress: identity})
	}
	r.Verifier = New(Config{
		Standing: NewStanding(), Routes: func() *runwayv1.RouteSet { return r.set }, Asker: r.agents,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	t.Cleanup(r.Close)
	r.apply(route.Endpoint{Replica: "r1", Address: netip.MustParseAddrPort("10.0.0.1:20000")})
	lease, err := r.live.Acquire(route.Internal, "web.default.internal", time.Now(), &route.Tried{})
	if err != nil {
		t.Fatal(err)
	}
	r.target = lease.Target
	return r
}

func (r *rig) apply(endpoints ...route.Endpoint) {
	r.t.Helper()
	_, err := r.live.Apply(route.Set{Incarnation: "first", Generation: r.live.Table().Generation() + 1, Full: true, Force: true, Workloads: []route.Workload{{
		Key: route.Key{Space: "default", Service: "web", Environment: "production"}, InternalHosts: []string{"web.default.internal"}, Endpoints: endpoints,
	}}})
	if err != nil {
		r.t.Fatal(err)
	}
}

// admit offers a fresh connection to the target.
func (r *rig) admit() (net.Conn, error) {
	r.t.Helper()
	near, far := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, far) }() // until near is closed
	r.t.Cleanup(func() { _ = near.Close() })
	return r.Admit(r.t.Context(), near, r.target)
}

// want offers a connection and returns the one to use.
func (r *rig) want(verdict Verdict, when string) net.Conn {
	r.t.Helper()
	conn, err := r.admit()
	if (verdict == Wrong) != errors.Is(err, ErrWrong) || (conn == nil) != (verdict == Wrong) {
		r.t.Errorf("%s: got connection %v, error %v; want %s", when, conn, err, Verdicts[verdict])
	}
	_, marked := conn.(*unproven)
	if marked != (verdict == Unknown) {
		r.t.Errorf("%s: connection is to be proven: %t, want %s", when, marked, Verdicts[verdict])
	}
	return conn
}

func TestAdmit_LiveOrStaleByWhatTheNodeSays(t *testing.T) {
	t.Parallel()
	answers := map[string]map[uint32]string{
		"right": {20000: "r1"}, "another replica": {20000: "r2"}, "no replica": {20000: ""}, "no such port": {20001: "r1"}, "silent": nil,
	}
	for _, row := range []struct {
		name      string
		live      bool
		unrouted  bool
		says      string
		want      Verdict
		questions int
	}{
		{"live, right", true, false, "right", Right, 0},
		{"live, wrong", true, false, "another replica", Right, 0},
		{"live, silent", true, false, "silent", Right, 0},
		{"live, but the route is gone, right", true, true, "right", Right, 1},
		{"live, but the route is gone, wrong", true, true, "another replica", Wrong, 1},
		{"stale, right", false, false, "right", Right, 1},
		{"stale, another replica", false, false, "another replica", Wrong, 1},
		{"stale, no replica", false, false, "no replica", Wrong, 1},
		{"stale, no such port", false, false, "no such port", Wrong, 1},
		{"stale, silent", false, false, "silent", Unknown, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, agent1)
				r.agents.say(agent1, answers[row.says])
				if row.live {
					r.cfg.Standing.Extend(time.Now())
				}
				if row.unrouted {
					r.apply()
				}
				r.want(row.want, row.name)
				if got := r.agents.questions(); got != row.questions {
					t.Errorf("%d questions, want %d", got, row.questions)
				}
				if got := r.Checks(row.want); got != uint64(row.questions) {
					t.Errorf("%d checks with result %s, want %d", got, Verdicts[row.want], row.questions)
				}
			})
		})
	}
}

// A process that stood still does not know it: the clock says it.
func TestAdmit_IsStaleAtOnceAfterStandingStill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, agent1)
		r.agents.say(agent1, map[uint32]string{20000: "r2"})
		r.cfg.Standing.Extend(time.Now())
		r.want(Right, "before")
		time.Sleep(holds)
		r.want(Wrong, "after")
		r.cfg.Standing.Extend(time.Now().Add(-time.Millisecond - holds))
		r.want(Wrong, "after an answer to a beat from before")
	})
}

// The answer is always younger than the connection: not even for a moment is a port
// that has just moved taken for the old replica's.
func TestAdmit_NeverBelievesAnAnswerFromBeforeTheConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, agent1)
		r.agents.takes = 20 * time.Millisecond
		early := make(chan error, 1)
		go func() {
			_, err := r.admit()
			early <- err
		}()
		time.Sleep(10 * time.Millisecond) // the question is under way, and says r1
		r.agents.say(agent1, map[uint32]string{20000: "r2"})
		r.want(Wrong, "a connection made after the port moved")
		if err := <-early; err != nil {
			t.Errorf("a connection made before it moved: %v", err)
		}
	})
}

func TestAdmit_AsksOnceForAllWhoComeMeanwhileAndRestsBetween(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, agent1)
		r.agents.takes = 2 * time.Millisecond
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() { r.want(Right, "one of many") })
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		if got := r.agents.questions(); got < 8 || got > 12 {
			t.Errorf("%d questions in 200 ms of 2 ms each, want about one in 20 ms", got)
		}
	})
}

func TestAdmit_ASilentNodeDelaysRequestsOnceAndComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, agent1)
		r.agents.takes = time.Hour // hangs
		start := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { r.want(Unknown, "among the first") })
			time.Sleep(10 * time.Millisecond)
		}
		wg.Wait()
		if took := time.Since(start); took > budget+maxRest {
			t.Errorf("the first requests waited until %v, want at most %v", took, budget+maxRest)
		}
		start = time.Now()
		for range 100 {
			r.want(Unknown, "later")
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(start); took != 100*100*time.Millisecond {
			t.Errorf("100 requests in 10 s took %v: they were delayed", took)
		}
		if got := r.agents.questions(); got < 7 || got > 12 {
			t.Errorf("%d questions in 10 s, want one in about 1.5 s", got)
		}
		r.agents.mu.Lock()
		r.agents.takes = 0
		r.agents.mu.Unlock()
		time.Sleep(2 * retry)
		r.want(Unknown, "it has it asked again")
		time.Sleep(retry)
		r.want(Right, "it answers again")
	})
}

func TestAdmit_SeveralAgentsAtOneAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, agent1, agent2)
		r.want(Right, "one says so, the other is silent")
		r.agents.say(agent1, map[uint32]string{})
		time.Sleep(3 * retry)
		r.want(Unknown, "has it asked again, and one is still silent")
		synctest.Wait()
		r.agents.say(agent2, map[uint32]string{20000: "r1"})
		time.Sleep(3 * retry)
		r.want(Unknown, "has it asked again")
		time.Sleep(retry)
		r.want(Right, "the other one says so")
		r.agents.say(agent2, map[uint32]string{20000: "r2"})
		r.want(Wrong, "none says so")
	})
}

func TestAdmit_ANodeThatCannotBeAskedKeepsItsTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.want(Unknown, "nobody to ask")
		r.set = &runwayv1.RouteSet{Networks: []*runwayv1.NodeNetwork{
			{NodeAddress: "odd", IdentityAddress: agent1}, {NodeAddress: "10.0.0.1", IdentityAddress: agent1},
		}}
		r.want(Right, "a newer set says where to ask")
		known := r.node(r.target.Address.Addr())
		r.set = &runwayv1.RouteSet{Networks: r.set.GetNetworks()}
		if r.node(r.target.Address.Addr()) != known {
			t.Error("a set with the same node forgets what is known of it")
		}
	})
}

// A connection that could not be proven is proven while it is used, or refused.
func TestUnproven_IsAskedAboutAgainWhileInUse(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		later func(*rig)
		want  error
		asks  bool // also after the node has spoken
	}{
		{"right", func(r *rig) { r.agents.say(agent1, map[uint32]string{20000: "r1"}) }, nil, false},
		{"wrong", func(r *rig) { r.agents.say(agent1, map[uint32]string{20000: "r2"}) }, ErrWrong, false},
		{"still silent", func(*rig) {}, nil, true},
		{"the session is back and the route is still there", func(r *rig) { r.cfg.Standing.Extend(time.Now().Add(time.Hour)) }, nil, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, agent1)
				r.agents.say(agent1, nil)
				conn := r.want(Unknown, "silent")
				row.later(r)
				var err error
				for range 40 { // one asks the node in the background, the next hears it
					if _, err = conn.Write([]byte("x")); err != nil {
						break
					}
					time.Sleep(100 * time.Millisecond)
				}
				if !errors.Is(err, row.want) {
					t.Errorf("write: got %v, want %v", err, row.want)
				}
				if _, err := conn.Write([]byte("x")); row.want != nil && err == nil {
					t.Error("a connection to a foreign replica can be used again")
				}
				before := r.agents.questions()
				for range 40 {
					_, _ = conn.Write([]byte("x")) // seen above
					time.Sleep(100 * time.Millisecond)
				}
				if got := r.agents.questions() > before; got != row.asks {
					t.Errorf("asked on: %t, want %t", got, row.asks)
				}
			})
		})
	}
}

func TestClose_EndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, agent1)
		r.agents.say(agent1, nil)
		r.want(Unknown, "falls silent")
		r.agents.takes = time.Hour
		time.Sleep(2 * retry)
		r.want(Unknown, "has it asked in the background")
		start := time.Now()
		r.Close()
		if took := time.Since(start); took > 0 || !r.agents.closed {
			t.Errorf("close took %v, asker closed %t", took, r.agents.closed)
		}
		time.Sleep(2 * retry)
		before := r.agents.questions()
		r.want(Unknown, "asks nobody any more")
		if got := r.agents.questions(); got != before {
			t.Errorf("%d questions after close", got-before)
		}
	})
}
