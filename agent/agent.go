// Package agent runs on every node. It takes assignments from the coordinator, keeps a copy on its own disk, and makes the
// machine run exactly these replicas: pulled, attached, started, probed, restarted, stopped. Without a coordinator it goes on
// with what it has. It decides nothing that concerns more than one replica: where and how many is the coordinator's business.
package agent

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Agent is one node's agent.
type Agent struct {
	config  Config
	deps    Deps
	worker  *worker
	session *session
	usage   *usage
}

// New reads the node's own copy of its assignments and starts nothing. A damaged copy is reported and the agent holds: until a
// coordinator sends a full set it starts and stops nothing, for it does not know what should run.
func New(config Config, deps Deps) (*Agent, error) {
	config = config.withDefaults()
	if err := errors.Join(config.Validate(), deps.validate()); err != nil {
		return nil, err
	}
	deps = deps.withDefaults()
	if err := os.MkdirAll(config.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	facts := func() (*runwayv1.NodeFacts, error) { return config.facts(machine{proc: "/proc"}) }
	if _, err := facts(); err != nil {
		return nil, err
	}
	reporter := newReporter()
	desired, past := load(config, deps, reporter)
	w := newWorker(config, deps, reporter, desired, past)
	uploads := &uploader{conn: deps.Coordinator, logs: deps.Logs, slots: make(chan struct{}, maxUploads), log: deps.Log, attempt: reporter.attempt}
	return &Agent{config: config, deps: deps, worker: w, usage: newUsage(deps), session: &session{
		name: config.Name, conn: deps.Coordinator, worker: w.inbox, reporter: reporter, uploads: uploads,
		metrics: deps.Metrics, log: deps.Log, jitter: halfJitter, current: desired,
		facts: facts, save: func(set *assignments) error { return set.save(config.DataDir) }, alive: w.alive,
	}}, nil
}

// load reads what an earlier life of the agent left.
func load(config Config, deps Deps, reporter *reporter) (*assignments, map[string]history) {
	desired, err := loadAssignments(config.DataDir)
	if err != nil {
		deps.Log.Error("assignments on disk cannot be used; nothing is started or stopped until a coordinator is reached", "err", err)
		reporter.event("node.hold", "", code.Internal, err.Error())
	}
	past, err := loadHistories(config.DataDir)
	if err != nil {
		deps.Log.Warn("replica histories on disk cannot be used; restarts are counted anew", "err", err)
	}
	return desired, past
}

// Run supervises the node's replicas and keeps its session, until ctx ends. Replicas are left running: the agent that starts
// next finds them.
func (a *Agent) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range []func(context.Context) error{a.deps.Logs.Run, a.worker.Run, a.session.Run, a.usage.Run} {
		group.Go(func() error { return part(ctx) })
	}
	return group.Wait()
}
