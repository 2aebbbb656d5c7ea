package api

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// maxFanIn bounds the replicas that one call reads at once; others wait for their
	// turn.
	maxFanIn = 64
	// logQueue is how many messages of all replicas wait for the reader; beyond it
	// the agents wait.
	logQueue = 16
)

// Logs merges the lines of a workload's replicas as they arrive. While it follows,
// replicas that begin later join in, and those whose agent is away are tried again.
func (s serviceService) Logs(request *runwayv1.LogsRequest, stream runwayv1.Services_LogsServer) error {
	workload, err := find(s.view(), request.GetWorkload())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	f := &fanIn{
		views: s.view, source: s.config.Logs, request: request, id: state.IDOf(workload.GetKey()),
		out: make(chan *runwayv1.LogsResponse, logQueue), slots: make(chan struct{}, maxFanIn), known: map[string]bool{},
	}
	defer f.readers.Wait()
	defer cancel()
	if f.join(ctx, s.view()) == 0 && !request.GetOptions().GetFollow() {
		return f.nobody()
	}
	return s.merge(ctx, f, stream)
}

// merge sends what the readers deliver until all have ended, or the caller leaves.
// While it follows a whole workload there is no end: replicas may come. A coordinator
// that no longer leads sends the caller on.
func (s serviceService) merge(ctx context.Context, f *fanIn, stream runwayv1.Services_LogsServer) error {
	var idle, changed <-chan struct{}
	if !f.open() {
		idle = f.idle()
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		if f.open() {
			view := s.view()
			changed = view.Changed(state.TableReplicas)
			f.join(ctx, view)
			if err := f.tellOfTurns(stream); err != nil {
				return err
			}
		}
		select {
		case message := <-f.out:
			if err := stream.Send(message); err != nil {
				return err
			}
		case <-changed:
		case <-beat.C:
			if err := s.atLeader(right{}); err != nil {
				return err
			}
		case <-idle:
			return f.flush(stream)
		case <-ctx.Done():
			return ended(ctx)
		}
	}
}

// fanIn is one call that reads several replicas.
type fanIn struct {
	views   func() *state.View
	source  logSource
	request *runwayv1.LogsRequest
	id      state.WorkloadID
	out     chan *runwayv1.LogsResponse
	// slots are taken by the readers under way.
	slots chan struct{}
	// known are the replicas that are or were read; only the merging goroutine uses
	// it, and told, which is that some wait for their turn.
	known   map[string]bool
	told    bool
	readers sync.WaitGroup
	// waiting are the readers without a slot.
	waiting atomic.Int32
}

// join starts a reader for each replica that has none yet, and returns how many
// there are.
func (f *fanIn) join(ctx context.Context, view *state.View) int {
	for _, replica := range view.ReplicasOf(f.id) {
		id := replica.GetId()
		if f.known[id] || !f.wants(replica) {
			continue
		}
		f.known[id] = true
		f.waiting.Add(1)
		f.readers.Go(func() { f.read(ctx, id) })
	}
	return len(f.known)
}

// tellOfTurns says once that not all replicas are followed at the same time.
func (f *fanIn) tellOfTurns(stream runwayv1.Services_LogsServer) error {
	waiting := f.waiting.Load()
	if f.told || waiting == 0 || len(f.slots) < maxFanIn {
		return nil
	}
	f.told = true
	return stream.Send(&runwayv1.LogsResponse{Problem: fmt.Sprintf(
		"%s %d replicas are followed at once and %d wait for one of them to end; name a replica to follow it", code.TooManyRequests, maxFanIn, waiting)})
}

// open says whether readers may still join.
func (f *fanIn) open() bool {
	return f.request.GetOptions().GetFollow() && f.request.GetReplica() == ""
}

// wants says whether a replica's lines were asked for. One that is over keeps its
// lines as long as its node does; it is read when it is named.
func (f *fanIn) wants(replica *runwayv1.Replica) bool {
	if f.request.GetReplica() != "" {
		return replica.GetId() == f.request.GetReplica()
	}
	return replica.GetStatus().GetPhase() != runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED
}

func (f *fanIn) put(ctx context.Context, message *runwayv1.LogsResponse) bool {
	select {
	case f.out <- message:
		return true
	case <-ctx.Done():
		return false
	}
}

// idle is closed when every reader has ended.
func (f *fanIn) idle() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.readers.Wait()
	}()
	return done
}

// flush sends what was delivered before the readers ended.
func (f *fanIn) flush(stream runwayv1.Services_LogsServer) error {
	for {
		select {
		case message := <-f.out:
			if err := stream.Send(message); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

func (f *fanIn) nobody() error {
	if f.request.GetReplica() != "" {
		return refuse(notFoundStatus, code.ReplicaNotFound, "there is no replica %q of %s", cut(f.request.GetReplica()), f.id)
	}
	return refuse(notFoundStatus, code.LogsUnavailable, "%s has no replica", f.id)
}
