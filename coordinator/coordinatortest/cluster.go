package coordinatortest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/consensus"
	"github.com/runway-platform/runway/coordinator/state"
)

// patience bounds every wait for the cluster: many elections.
const patience = 30 * time.Second

// poll is how often a condition is looked at that has no channel.
const poll = 10 * time.Millisecond

// Cluster is a number of coordinators' consensus in one process, on an in-memory
// transport and in-memory logs. It runs inside testing/synctest and outside.
type Cluster struct {
	Members []*Member
}

// Member is one coordinator of a Cluster. It keeps its storage over a restart.
type Member struct {
	*consensus.Node
	ID    string
	Store *state.Store

	storage   consensus.Storage
	transport *raft.InmemTransport
	bootstrap bool
}

// NewCluster starts size coordinators, initialises the cluster with Init, and
// stops everything when the test ends.
func NewCluster(t testing.TB, size int) *Cluster {
	t.Helper()
	c := &Cluster{}
	t.Cleanup(func() { c.stop(t) })
	for i := range size {
		c.Members = append(c.Members, newMember(t, i))
	}
	c.connect()
	leader := c.Leader(t)
	for _, member := range c.Members[1:] {
		if err := leader.AddVoter(t.Context(), member.ID, member.ID); err != nil {
			t.Fatalf("add voter: %v", err)
		}
	}
	c.Must(t, Init())
	c.CatchUp(t)
	return c
}

// CatchUp waits until every member has applied all that the leader has. A member
// that does not yet know of another one gives it no vote.
func (c *Cluster) CatchUp(t testing.TB) {
	t.Helper()
	index := c.View(t).Index()
	Eventually(t, "members that caught up", func() bool {
		for _, member := range c.Members {
			if member.Store.View().Index() < index {
				return false
			}
		}
		return true
	})
}

func newMember(t testing.TB, number int) *Member {
	t.Helper()
	memory := raft.NewInmemStore()
	m := &Member{
		ID:        fmt.Sprintf("coordinator-%d", number),
		storage:   consensus.Storage{Name: "memory", Log: memory, Stable: memory, Snapshots: raft.NewInmemSnapshotStore()},
		bootstrap: number == 0,
	}
	m.Start(t)
	return m
}

// Start starts a stopped member on what it had stored. It is connected to nobody
// until Cluster.Connect.
func (m *Member) Start(t testing.TB) {
	t.Helper()
	_, m.transport = raft.NewInmemTransportWithTimeout(raft.ServerAddress(m.ID), time.Second)
	m.Store = state.New()
	node, err := consensus.New(consensus.Config{
		ID:         m.ID,
		Address:    m.ID,
		Store:      m.Store,
		Storage:    &m.storage,
		Bootstrap:  m.bootstrap,
		Join:       !m.bootstrap,
		Transport:  m.transport,
		Logger:     Logger(t),
		Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatalf("start member %q: %v", m.ID, err)
	}
	m.Node = node
}

// Stop stops a member; a second call does nothing.
func (m *Member) Stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := m.Shutdown(ctx); err != nil {
		t.Errorf("stop member %q: %v", m.ID, err)
	}
}

// stop disconnects everybody first: a message to a member that is stopped already
// would wait for its answer beyond the end of the test.
func (c *Cluster) stop(t testing.TB) {
	t.Helper()
	for _, member := range c.Members {
		member.transport.DisconnectAll()
	}
	for _, member := range c.Members {
		member.Stop(t)
	}
}

// Restart stops and starts a member, and connects it again.
func (c *Cluster) Restart(t testing.TB, m *Member) {
	t.Helper()
	m.Stop(t)
	m.Start(t)
	c.connect()
}

func (c *Cluster) connect() {
	for _, from := range c.Members {
		for _, to := range c.Members {
			if from != to {
				from.transport.Connect(raft.ServerAddress(to.ID), to.transport)
			}
		}
	}
}

// Isolate cuts a member off from all others, in both directions.
func (c *Cluster) Isolate(m *Member) {
	m.transport.DisconnectAll()
	for _, other := range c.Members {
		other.transport.Disconnect(raft.ServerAddress(m.ID))
	}
}

// Heal ends every Isolate.
func (c *Cluster) Heal() { c.connect() }

// Leader returns the member that leads and has applied everything before.
func (c *Cluster) Leader(t testing.TB) *Member {
	t.Helper()
	return c.LeaderAmong(t, c.Members...)
}

// LeaderAmong is Leader for some of the members.
func (c *Cluster) LeaderAmong(t testing.TB, members ...*Member) *Member {
	t.Helper()
	var leader *Member
	Eventually(t, "a leader", func() bool {
		for _, member := range members {
			if _, leads := member.Leader(); leads && member.Barrier(t.Context()) == nil {
				leader = member
				return true
			}
		}
		return false
	})
	return leader
}

// Apply writes a command through the leader, whoever that is, and tries again
// while there is none. Do not use it for commands that must not be repeated after
// a change of leaders.
func (c *Cluster) Apply(ctx context.Context, payload proto.Message) (command.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		for _, member := range c.Members {
			result, err := member.Apply(ctx, payload)
			if !errors.Is(err, consensus.ErrNotLeader) && !errors.Is(err, consensus.ErrUncertain) {
				return result, err
			}
		}
		if err := pause(ctx); err != nil {
			return command.Result{}, fmt.Errorf("apply %T: no leader: %w", payload, err)
		}
	}
}

// Must applies commands and fails the test at the first that is rejected, as a
// whole or in part.
func (c *Cluster) Must(t testing.TB, payloads ...proto.Message) {
	t.Helper()
	for _, payload := range payloads {
		result, err := c.Apply(t.Context(), payload)
		if err != nil {
			t.Fatalf("apply %T: %v", payload, err)
		}
		if refused := Refused(result); len(refused) > 0 {
			t.Fatalf("apply %T: refused %v", payload, refused)
		}
	}
}

// View returns the leader's state.
func (c *Cluster) View(t testing.TB) *state.View {
	t.Helper()
	return c.Leader(t).Store.View()
}

// Eventually waits until a condition holds, and fails the test when it does not.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for !holds() {
		if err := pause(ctx); err != nil {
			t.Fatalf("no %s within %s", what, patience)
		}
	}
}

func pause(ctx context.Context) error {
	tick := time.NewTimer(poll)
	defer tick.Stop()
	select {
	case <-tick.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Logger writes to the test's output.
func Logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
