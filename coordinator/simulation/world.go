// Package simulation runs the real controllers against a fake cluster: the state
// machine without Raft, nodes that start, lose and break replicas, ingresses that
// confirm late or not at all, leaders that come and go. Everybody acts in turns that
// are drawn by the seed, in the virtual time of testing/synctest: a seed gives the
// same commands again, byte for byte. It checks what must hold at every change, not
// only at the end.
package simulation

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/failpoint"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Config of a world.
type Config struct {
	// Seed of everything that is random.
	Seed uint64
	// Nodes and Ingresses that are up at the start.
	Nodes, Ingresses int
	// Ports and Memory of each node; 0 means 1000 and 8 GiB.
	Ports  uint32
	Memory int64
	// Behave tells how a replica behaves on its node; nil: ready after a second.
	Behave func(*runwayv1.Replica, *rand.Rand) Behaviour
	// Patient users start no deployment while another is in progress.
	Patient bool
	// Break breaks a promise on purpose.
	Break failpoint.Point
	// Trace takes every command, one a line, and with Explain what it says.
	Trace   io.Writer
	Explain bool
}

// World is a cluster whose machines are fake and whose decisions are real. Only one
// goroutine uses it.
type World struct {
	// Broken collects what should never have been.
	Broken Violations

	config  Config
	t       testing.TB
	turns   turns
	state   *coordinatortest.State
	checker checker

	nodes     []*node
	ingresses []*ingress
	leader    *leader
	// elected is closed when the leader changes.
	elected chan struct{}
	// ids and machines count the replicas and nodes that ever were.
	ids, machines int
	// calm is set once replicas no longer end by themselves, stalled while the log
	// is slow.
	calm, stalled bool
	// floors are how many replicas must serve, by workload, once they did.
	floors map[state.WorkloadID]*floor
	// strike is what may happen right after a command.
	strike func(proto.Message)
}

// New makes a world whose machines are registered. Nothing moves until the first
// Sleep or Await.
func New(t testing.TB, config Config) *World {
	if config.Behave == nil {
		config.Behave = func(*runwayv1.Replica, *rand.Rand) Behaviour { return Behaviour{Start: time.Second} }
	}
	if config.Ports == 0 {
		config.Ports = 1000
	}
	if config.Memory == 0 {
		config.Memory = 8 << 30
	}
	w := &World{
		Broken:  Violations{start: time.Now()},
		config:  config,
		t:       t,
		state:   &coordinatortest.State{Store: state.New()},
		elected: make(chan struct{}),
		floors:  map[state.WorkloadID]*floor{},
		strike:  func(proto.Message) {},
	}
	w.turns.random = w.random("turns")
	w.checker = newChecker(w)
	w.must(&runwayv1.InitCluster{
		Cluster: &runwayv1.Cluster{Id: "sim", Incarnation: "one", Version: 1, Domain: "example.test", Regions: []string{"local"}},
		Space:   &runwayv1.Space{Name: "default", Spec: &runwayv1.SpaceSpec{}, Status: &runwayv1.SpaceStatus{Phase: runwayv1.SpacePhase_SPACE_PHASE_READY}},
		Admin:   &runwayv1.Token{Id: "admin", Name: "admin", Hash: make([]byte, 32), Role: runwayv1.Role_ROLE_CLUSTER_ADMIN},
	})
	for range config.Nodes {
		w.must(w.addNode().registration())
	}
	for range config.Ingresses {
		w.must(w.addIngress().registration())
	}
	w.elect()
	return w
}

// Close ends everybody.
func (w *World) Close() {
	w.depose()
	w.turns.stopAll()
}

// Sleep lets time pass.
func (w *World) Sleep(most time.Duration) {
	w.turns.until(func() bool { return false }, most)
}

// Await returns the deployment once it has ended, and fails the test when it has
// not after most.
func (w *World) Await(id string, most time.Duration) *runwayv1.Deployment {
	w.t.Helper()
	ended := func() bool { return state.Ended(w.View().Deployment(id).GetStatus().GetPhase()) }
	if !w.turns.until(ended, most) {
		w.t.Fatalf("deployment %s has not ended after %s: %v", id, most, w.View().Deployment(id).GetStatus())
	}
	return w.View().Deployment(id)
}

// View returns the present state.
func (w *World) View() *state.View { return w.state.View() }

func (w *World) addNode() *node {
	n := newNode(w, w.machines)
	w.machines++
	w.nodes = append(w.nodes, n)
	n.begin()
	return n
}

func (w *World) addIngress() *ingress {
	i := newIngress(w, len(w.ingresses))
	w.ingresses = append(w.ingresses, i)
	i.begin()
	return i
}

func (w *World) node(id string) *node {
	for _, n := range w.nodes {
		if n.id == id {
			return n
		}
	}
	return nil
}

func (w *World) ingress(id string) *ingress {
	for _, i := range w.ingresses {
		if i.id == id {
			return i
		}
	}
	return nil
}

func (w *World) newID() string {
	if w.config.Break == failpoint.ReuseID {
		for i := range w.ids {
			if id := replicaID(i + 1); w.View().Replica(id) == nil && w.checker.used[id] {
				return id
			}
		}
	}
	w.ids++
	return replicaID(w.ids)
}

func replicaID(number int) string { return fmt.Sprintf("r%04d", number) }

// random returns the random numbers of one machine, object or purpose. Each has its
// own, so that a change of one thing does not change everything.
func (w *World) random(name string) *rand.Rand {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	return rand.New(rand.NewPCG(w.config.Seed, hash.Sum64()))
}

// between returns a random duration.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)+1))
}
