package coordinator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runway-platform/runway/coordinator/consensus"
	"github.com/runway-platform/runway/coordinator/deployment"
	"github.com/runway-platform/runway/coordinator/nodehealth"
	"github.com/runway-platform/runway/coordinator/placement"
	"github.com/runway-platform/runway/coordinator/planted"
	"github.com/runway-platform/runway/coordinator/reaper"
	"github.com/runway-platform/runway/coordinator/report"
	"github.com/runway-platform/runway/coordinator/spaces"
	"github.com/runway-platform/runway/coordinator/tokens"
)

// runner is a loop that ends with its context and returns when its children have.
type runner interface{ Run(context.Context) error }

// leadership runs the leader's loops while this coordinator leads. It returns an
// error when they cannot run: a leader that decides nothing must not stay one.
func (c *Coordinator) leadership(ctx context.Context) error {
	resign, failed := func() {}, (<-chan error)(nil)
	defer func() { resign() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case leads := <-c.node.LeaderChanges():
			resign()
			resign, failed = func() {}, nil
			if leads {
				resign, failed = c.lead(ctx)
			}
		}
	}
}

// lead starts the loops. It returns how to end them, which waits for all, and where
// they say that they cannot go on.
func (c *Coordinator) lead(ctx context.Context) (resign func(), failed <-chan error) {
	ctx, cancel := context.WithCancel(ctx)
	ended, failure := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(ended)
		err := c.runLeader(ctx)
		if err == nil || ctx.Err() != nil || errors.Is(err, consensus.ErrNotLeader) || errors.Is(err, consensus.ErrUncertain) {
			return // leadership ended meanwhile
		}
		failure <- fmt.Errorf("lead: %w", err)
	}()
	return func() {
		cancel()
		<-ended
	}, failure
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
	c.term.Store(&ctx)
	c.caughtUp.Store(true)
	defer c.term.Store(nil)
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
		nodehealth.New(nodehealth.Config{Views: views, Applier: c.node, LastBeat: c.presence.LastBeat, Heard: c.presence.Heard, Standing: c.endpoints.Standing, Log: log}),
		spaces.New(spaces.Config{Views: views, Applier: c.node, Log: log}),
		deployment.New(deployment.Config{Views: views, Applier: c.outcomes, Log: log}),
		placement.New(placement.Config{Views: views, Applier: planted.In(c.node, views), NewID: newReplicaID, Log: log}),
		reaper.New(reaper.Config{Views: views, Applier: c.node, Log: log}),
		tokens.New(tokens.Config{Views: views, Applier: c.node, Log: log}),
		report.New(report.Config{Views: views, Applier: c.node, Tallies: c.presence, Log: log}),
	}
}

// newReplicaID is short enough for host names, and random enough to be made
// without asking what was used before.
func newReplicaID() string { return "r-" + strings.ToLower(rand.Text()[:12]) }
