package consensus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
)

// Errors of Apply, Barrier and membership changes.
var (
	// ErrNotLeader: this member does not lead; nothing was written. Ask Leader.
	ErrNotLeader = errors.New("this coordinator is not the leader")
	// ErrUncertain: leadership was lost meanwhile, or this member failed. The command
	// may have been written or not; look before repeating one that is not idempotent.
	ErrUncertain = errors.New("leadership was lost; the change may have been written")
)

// applyTimeout is how long a command waits at most, for callers without a
// deadline: several elections, and above the write deadline of the log.
const applyTimeout = 10 * time.Second

// Apply writes one of the payload messages of command.proto to the log and returns
// after it was applied here, which is after a majority has it on disk. Commands
// that are written at the same time share an fsync. Errors: *command.Rejection
// when the state machine refused, ErrNotLeader, ErrUncertain, and those of ctx,
// after which the command may still be applied.
func (n *Node) Apply(ctx context.Context, payload proto.Message) (command.Result, error) {
	begin := time.Now()
	result, err := n.apply(ctx, payload)
	n.metrics.committed(err, time.Since(begin))
	if err != nil {
		return command.Result{}, fmt.Errorf("apply %s: %w", payload.ProtoReflect().Descriptor().Name(), err)
	}
	return result, nil
}

func (n *Node) apply(ctx context.Context, payload proto.Message) (command.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	entry, err := n.decide(payload)
	if err != nil {
		return command.Result{}, err
	}
	future := n.raft.Apply(entry, remaining(ctx))
	if err := wait(ctx, future); err != nil {
		return command.Result{}, n.uncertain(err)
	}
	response := future.Response().(applied)
	return response.result, n.uncertain(response.err)
}

// uncertain is the error of a command after this member has failed: others may have
// it. Raft and its cache hide which error is behind theirs, so the member is asked.
func (n *Node) uncertain(err error) error {
	var rejection *command.Rejection
	if err == nil || n.failure.err() == nil || errors.Is(err, ErrNotLeader) || errors.As(err, &rejection) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUncertain, err)
}

// decide makes the log entry. Kinds that a member of the cluster might not know
// are refused here, because in the log they would stop that member.
func (n *Node) decide(payload proto.Message) ([]byte, error) {
	decided, err := command.New(time.Now(), payload)
	if err != nil {
		return nil, err
	}
	cluster := n.store.View().Cluster()
	if cluster != nil && decided.GetMinVersion() > cluster.GetVersion() {
		return nil, fmt.Errorf("cluster version %d has no %v: %w", cluster.GetVersion(), decided.GetKind(), command.ErrInvalid)
	}
	return command.Encode(decided)
}

// Barrier returns once everything that was committed before is applied here. A new
// leader calls it before it reads the state to decide.
func (n *Node) Barrier(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	if err := wait(ctx, n.raft.Barrier(remaining(ctx))); err != nil {
		return fmt.Errorf("barrier: %w", n.uncertain(err))
	}
	return nil
}

// remaining is the time until the deadline that ctx is known to have; at least a
// nanosecond, because raft takes 0 for no limit.
func remaining(ctx context.Context) time.Duration {
	deadline, _ := ctx.Deadline()
	return max(time.Until(deadline), 1)
}

// wait waits for raft's answer or for ctx. The goroutine ends with the answer,
// which raft gives at the latest when it shuts down.
func wait(ctx context.Context, future raft.Future) error {
	answer := make(chan error, 1)
	go func() { answer <- future.Error() }()
	select {
	case err := <-answer:
		return translate(err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// translate gives raft's errors our names.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrAbortedByRestore):
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrRaftShutdown):
		return fmt.Errorf("%w: %w", ErrNotLeader, err)
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	default:
		return err
	}
}

func isFatal(err error) bool { return errors.Is(err, command.ErrUnreadable) }
