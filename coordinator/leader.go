package coordinator

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runway-platform/runway/coordinator/deployment"
	"github.com/runway-platform/runway/coordinator/nodehealth"
	"github.com/runway-platform/runway/coordinator/placement"
	"github.com/runway-platform/runway/coordinator/reaper"
	"github.com/runway-platform/runway/coordinator/report"
	"github.com/runway-platform/runway/coordinator/spaces"
)

// runner is a loop that ends with its context and returns when its children have.
type runner interface{ Run(context.Context) error }

// leadership runs the leader's loops while this coordinator leads.
func (c *Coordinator) leadership(ctx context.Context) error {
	resign := func() {}
	for {
		select {
		case <-ctx.Done():
			resign()
			return nil
		case leads := <-c.node.LeaderChanges():
			resign()
			resign = func() {}
			if leads {
				resign = c.lead(ctx)
			}
		}
	}
}

// lead starts the loops and returns how to end them; the end waits for all.
func (c *Coordinator) lead(ctx context.Context) (resign func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := c.runLeader(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("leadership ended with an error", "err", err)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// runLeader catches up with the log, then starts every loop in the order of the
// list. Each timer begins now.
func (c *Coordinator) runLeader(ctx context.Context) error {
	if err := c.node.Barrier(ctx); err != nil {
		return fmt.Errorf("catch up with the log: %w", err)
	}
	c.presence.Reset(time.Now())
	if err := c.initCluster(ctx); err != nil {
		return fmt.Errorf("begin the cluster: %w", err)
	}
	c.caughtUp.Store(true)
	defer c.caughtUp.Store(false)
	c.caughtUp.Store(true)
	defer c.caughtUp.Store(false)
	c.log.Info("leading", "index", c.store.View().Index())
	defer c.log.Info("no longer leading")

	group, ctx := errgroup.WithContext(ctx)
	for _, loop := range c.leaderLoops() {
		group.Go(func() error { return loop.Run(ctx) })
	}
	return group.Wait()
}

func (c *Coordinator) leaderLoops() []runner {
	views, log := c.store.View, c.log
	return []runner{
		c.endpoints,
		c.dispatch,
		nodehealth.New(nodehealth.Config{Views: views, Applier: c.node, LastBeat: c.presence.LastBeat, Unconfirmed: c.endpoints.Unconfirmed, Log: log}),
		spaces.New(spaces.Config{Views: views, Applier: c.node, Log: log}),
		deployment.New(deployment.Config{Views: views, Applier: c.node, Log: log}),
		placement.New(placement.Config{Views: views, Applier: c.node, NewID: newReplicaID, Log: log}),
		reaper.New(reaper.Config{Views: views, Applier: c.node, Log: log}),
		report.New(report.Config{Views: views, Applier: c.node, Tallies: c.presence, Log: log}),
	}
}

// newReplicaID is short enough for host names, and random enough to be made
// without asking what was used before.
func newReplicaID() string { return "r-" + strings.ToLower(rand.Text()[:12]) }
