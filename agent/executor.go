package agent

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/runtime"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// stepTimeout bounds one action. The parts below have shorter bounds of their own.
	stepTimeout = time.Minute
	// logTail is how many log lines go into the cause of a failure.
	logTail = 50
)

var (
	// errPortTaken is a node port that another process of the machine listens on.
	errPortTaken = errors.New("node port is in use by another process")
	// errPortRange is a node port that this node does not offer.
	errPortRange = errors.New("node port is out of this node's range")
)

// order is an action with all it needs, copied from the replica: the executor works beside the worker.
type order struct {
	action
	// replica is empty for doPull, which is done once for all replicas of an image; space is that of the first.
	replica string
	image   string
	space   string
	want    *runwayv1.Assignment
	place   *network.Attachment
	attempt int
	pid     int
}

// result is what came of an order.
type result struct {
	order
	err  error
	took time.Duration
	// place is set by doAttach, sockets by doInspect, log by doBury.
	place   network.Attachment
	sockets *sockets
	log     []string
}

// executor carries out orders, so many at a time. Pulls wait for a registry and so have slots of their own.
type executor struct {
	config Config
	deps   Deps
	slots  chan struct{}
	pulls  *pulls
}

func newExecutor(config Config, deps Deps) *executor {
	return &executor{config: config, deps: deps, slots: make(chan struct{}, config.Parallel), pulls: newPulls(config.Pulls)}
}

// carryOut does one action. It returns within the action's bound, or when ctx ends.
func (e *executor) carryOut(ctx context.Context, o order) result {
	out := result{order: o}
	if o.do == doPull {
		e.pull(ctx, &out)
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		out.err = ctx.Err()
		return out
	}
	began := time.Now()
	out.err = e.perform(ctx, &out)
	out.took = time.Since(began)
	return out
}

func (e *executor) perform(ctx context.Context, out *result) error {
	switch out.do {
	case doAttach:
		return e.attach(ctx, out)
	case doCreate:
		return e.create(ctx, out)
	case doStart:
		return e.deps.Runtime.Start(ctx, out.container)
	case doInspect:
		return e.inspect(out)
	case doTerminate:
		return e.signal(ctx, out, syscall.SIGTERM)
	case doKill:
		return e.signal(ctx, out, syscall.SIGKILL)
	case doBury:
		return e.bury(ctx, out)
	case doDetach:
		return e.detach(ctx, out)
	}
	return fmt.Errorf("carry out %q: unknown action", out.do)
}

// attach refuses a node port that somebody else listens on, but only at first: later the port is our own.
func (e *executor) attach(ctx context.Context, out *result) error {
	if port := out.want.GetNodePort(); port != 0 && !e.config.offers(port) {
		return fmt.Errorf("use node port %d: %w: %d-%d", port, errPortRange, e.config.PortFirst, e.config.PortLast)
	}
	if port := out.want.GetNodePort(); port != 0 && out.attempt == 0 {
		taken, err := e.deps.Network.Taken(ctx, uint16(port))
		if err != nil {
			return err
		}
		if taken {
			return fmt.Errorf("use node port %d: %w", port, errPortTaken)
		}
	}
	place, err := e.deps.Network.Attach(ctx, out.replica)
	out.place = place
	return err
}

// create follows the log before there can be any, so that its lines get the right time.
func (e *executor) create(ctx context.Context, out *result) error {
	files, err := e.config.writeFiles(out.replica, *out.order.place)
	if err != nil {
		return err
	}
	spool, err := e.deps.Logs.Spool(string(out.container))
	if err != nil {
		return err
	}
	if err := e.deps.Logs.Follow(string(out.container)); err != nil {
		return err
	}
	if out.attempt >= keptAttempts {
		old := runtime.NewContainerID(out.replica, out.attempt-keptAttempts)
		if err := e.deps.Logs.Remove(string(old)); err != nil {
			return err
		}
	}
	return e.deps.Runtime.Create(ctx, containerSpec(out.order, files, spool))
}

func (e *executor) inspect(out *result) error {
	listening, unread := e.deps.Listening(out.pid)
	lines, err := e.deps.Logs.Tail(string(out.container), logTail)
	if err != nil {
		return err
	}
	out.sockets = &sockets{at: time.Now(), listening: listening, err: unread, log: logEvidence(lines)}
	return nil
}

// signal to a container that is gone has nothing left to do.
func (e *executor) signal(ctx context.Context, out *result, sig syscall.Signal) error {
	err := e.deps.Runtime.Signal(ctx, out.container, sig)
	if errors.Is(err, runtime.ErrNotFound) {
		return nil
	}
	return err
}

// bury removes a container and keeps its last words: a process may have ended before its shim has written all that it said, and
// removing it waits for that. Lines that cannot be had never keep a container on the machine.
func (e *executor) bury(ctx context.Context, out *result) error {
	if err := e.deps.Logs.Hold(string(out.container)); err != nil {
		e.deps.Log.Warn("last log lines may be lost", "replica_id", out.replica, "container_id", out.container, "err", err)
	}
	if err := e.deps.Runtime.Delete(ctx, out.container); err != nil {
		return err
	}
	if err := e.deps.Logs.Finish(string(out.container)); err != nil {
		e.deps.Log.Warn("last log lines were lost", "replica_id", out.replica, "container_id", out.container, "err", err)
	}
	lines, err := e.deps.Logs.Tail(string(out.container), logTail)
	if err != nil {
		e.deps.Log.Warn("log lines cannot be read", "replica_id", out.replica, "container_id", out.container, "err", err)
	}
	out.log = logEvidence(lines)
	return nil
}

func (e *executor) detach(ctx context.Context, out *result) error {
	if err := e.deps.Network.Detach(ctx, out.replica); err != nil {
		return err
	}
	return e.config.removeFiles(out.replica)
}
