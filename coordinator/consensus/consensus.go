// Package consensus keeps the log of commands equal on all coordinators, with
// hashicorp/raft on raft-boltdb, and feeds it to the state machine. It decides
// nothing about what a command means.
package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/runway-platform/runway/coordinator/state"
)

// Node is this coordinator's membership in the cluster. It is safe for concurrent
// use.
type Node struct {
	raft *raft.Raft
	// stopRaft begins to stop raft, once, and returns the future of that.
	stopRaft  func() raft.Future
	store     *state.Store
	started   time.Time
	storage   Storage
	transport closingTransport
	fsm       *fsm
	log       *slog.Logger
	metrics   *metrics
	failure   *failure

	shutdown sync.Once
	stopped  error
}

// closingTransport is a raft.Transport with connections to close.
type closingTransport interface {
	raft.Transport
	raft.WithClose
}

// New opens what is on disk, checks all of it, and starts to take part. It blocks
// for the check, about a second per million entries, and not for an election. An
// error with a stable code is a *Fault.
func New(config Config) (*Node, error) {
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("start consensus: %w", err)
	}
	n := &Node{store: config.Store, started: time.Now(), log: config.Logger.With("component", "consensus")}
	n.metrics = newMetrics(config.Registerer, config.Store)
	n.failure = newFailure(n.log, n.metrics)
	n.fsm = &fsm{store: config.Store, metrics: n.metrics, failure: n.failure}
	if err := n.start(config); err != nil {
		n.metrics.unregister(config.Registerer)
		return nil, fmt.Errorf("start consensus: %w", err)
	}
	return n, nil
}

// start opens the parts in order, and closes them again when one fails.
func (n *Node) start(config Config) error {
	storage, err := config.storage(n)
	if err != nil {
		return err
	}
	n.storage = storage
	if err := recovering(storage.Name, func() error { return n.prepare(config) }); err != nil {
		return errors.Join(err, n.storage.close())
	}
	n.transport = config.transport(n.log)
	if err := n.join(config); err != nil {
		return errors.Join(err, n.transport.Close(), n.storage.close())
	}
	return nil
}

// prepare checks what is stored, or begins a new cluster in an empty place.
func (n *Node) prepare(config Config) error {
	exists, err := raft.HasExistingState(n.storage.Log, n.storage.Stable, n.storage.Snapshots)
	if err != nil {
		return fault(codeLogCorrupt, "read %s: %w", n.storage.Name, err)
	}
	switch {
	case exists:
		return n.check(config)
	case config.Bootstrap:
		return n.bootstrap(config)
	case config.Join:
		return nil
	default:
		return fault(codeEmpty, "%s is empty", n.storage.Name)
	}
}

// check checks what is stored. Only a member that joins may have no entry yet.
func (n *Node) check(config Config) error {
	if err := checkStorage(n.storage); err != nil {
		return err
	}
	_, last, err := bounds(n.storage.Log)
	if err != nil {
		return fault(codeLogCorrupt, "read %s: %w", n.storage.Name, err)
	}
	snapshots, err := n.storage.Snapshots.List()
	if err != nil {
		return fault(codeSnapshot, "list snapshots beside %s: %w", n.storage.Name, err)
	}
	if last == 0 && len(snapshots) == 0 && !config.Join {
		return fault(codeEmpty, "%s has a term and no entry: its bootstrap was cut short; remove it and bootstrap again", n.storage.Name)
	}
	return nil
}

// bootstrap makes this coordinator the one voter of a new cluster.
func (n *Node) bootstrap(config Config) error {
	first := raft.Configuration{Servers: []raft.Server{{
		Suffrage: raft.Voter,
		ID:       raft.ServerID(config.ID),
		Address:  raft.ServerAddress(config.Address),
	}}}
	var err error
	n.inside(func() {
		err = raft.BootstrapCluster(config.raft(n.log), n.storage.Log, n.storage.Stable, n.storage.Snapshots, addressing(config.Address), first)
	})
	if err := errors.Join(err, n.failure.err()); err != nil {
		return fmt.Errorf("bootstrap %s: %w", n.storage.Name, err)
	}
	return nil
}

// addressing is a transport that only knows how addresses are written, which is
// all that raft asks of it to write the first entry.
func addressing(address string) raft.Transport {
	_, transport := raft.NewInmemTransport(raft.ServerAddress(address))
	return transport
}

// join starts raft on the parts.
func (n *Node) join(config Config) error {
	member, err := n.newRaft(config)
	if member == nil {
		return errors.Join(err, n.failure.err())
	}
	n.raft = member
	n.stopRaft = sync.OnceValue(member.Shutdown)
	n.failure.onFailure(func() { n.stopRaft() })
	n.metrics.watch(member)
	return nil
}

func (n *Node) newRaft(config Config) (member *raft.Raft, err error) {
	n.inside(func() {
		member, err = raft.NewRaft(config.raft(n.log), n.fsm, n.storage.cached(), n.storage.Stable, n.storage.Snapshots, n.transport)
	})
	return member, err
}

// inside runs what writes a term in a goroutine of its own, which a write that does
// not succeed ends; see stableStore.
func (n *Node) inside(write func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		write()
	}()
	<-done
}

// Failed delivers one error when the member can no longer take part: an entry that
// it cannot apply, a damaged file, a disk that is full or broken, or one that missed
// its deadline, then after the late write has returned. It has given up leadership by then; the process
// must stop and name the error's code.
func (n *Node) Failed() <-chan error { return n.failure.delivered }

// Shutdown hands leadership over if there is somebody to take it, stops taking
// part and closes the files. It may be called more than once; the first call
// counts. Afterwards every other method fails with ErrNotLeader.
func (n *Node) Shutdown(ctx context.Context) error {
	n.shutdown.Do(func() { n.stopped = n.stop(ctx) })
	return n.stopped
}

func (n *Node) stop(ctx context.Context) error {
	n.HandOver(ctx)
	n.metrics.stop()
	if err := wait(ctx, n.stopRaft()); err != nil {
		// Raft still runs: a closed file would make it panic.
		return fmt.Errorf("stop consensus: %w", err)
	}
	if err := errors.Join(n.transport.Close(), n.storage.close()); err != nil {
		return fmt.Errorf("stop consensus: %w", err)
	}
	return nil
}

// HandOver transfers leadership, if this member leads and somebody can take it, so
// that a planned stop costs no election. It is done before the leader's work ends.
func (n *Node) HandOver(ctx context.Context) {
	if n.raft.State() != raft.Leader || len(n.otherVoters()) == 0 {
		return
	}
	if err := wait(ctx, n.raft.LeadershipTransfer()); err != nil {
		n.log.Warn("leadership not handed over before shutdown", "err", err)
	}
}
