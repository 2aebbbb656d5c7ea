package coordinatortest_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/runway-platform/runway/coordinator/consensus"
	. "github.com/runway-platform/runway/coordinator/coordinatortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCluster_oneMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCluster(t, 1)
		c.Must(t, RegisterNode("n1"), Deploy("d1", "web", Spec(), 1))
		if c.View(t).Deployment("d1") == nil {
			t.Error("the deployment is not in the state")
		}
	})
}

func TestCluster_failsOverAndKeepsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCluster(t, 3)
		c.Must(t, RegisterNode("n1"))
		old := c.Leader(t)
		begin := time.Now()
		old.Stop(t)

		c.Must(t, RegisterNode("n2"))

		if took := time.Since(begin); took > time.Second {
			t.Errorf("next write after %s, want 1s at most", took)
		}
		view := c.View(t)
		if view.Node("n1") == nil || view.Node("n2") == nil {
			t.Errorf("nodes after a failover: %v", view.Nodes())
		}
		old.Start(t)
		c.Heal()
		Eventually(t, "member that caught up", func() bool { return old.Store.View().Node("n2") != nil })
	})
}

func TestCluster_isolatedLeaderStepsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCluster(t, 3)
		old := c.Leader(t)
		c.Isolate(old)
		var rest []*Member
		for _, member := range c.Members {
			if member != old {
				rest = append(rest, member)
			}
		}
		next := c.LeaderAmong(t, rest...)
		if _, err := next.Apply(t.Context(), RegisterNode("n1")); err != nil {
			t.Errorf("write through the new leader: %v", err)
		}
		_, err := old.Apply(t.Context(), RegisterNode("n2"))
		if !errors.Is(err, consensus.ErrNotLeader) && !errors.Is(err, consensus.ErrUncertain) {
			t.Errorf("write through the old leader: %v", err)
		}
		c.Heal()
		Eventually(t, "old leader that follows", func() bool { return old.Store.View().Node("n1") != nil })
		if old.Store.View().Node("n2") != nil {
			t.Error("a refused write was applied")
		}
	})
}
