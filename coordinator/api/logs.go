package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// maxFanIn bounds the replicas that one call reads at once.
	maxFanIn = 64
	// logQueue is how many messages of all replicas wait for the reader; beyond it
	// the agents wait.
	logQueue = 16
)

// Logs merges the lines of a workload's replicas as they arrive. While it follows,
// replicas that begin later join in.
func (s serviceService) Logs(request *runwayv1.LogsRequest, stream runwayv1.Services_LogsServer) error {
	workload, err := find(s.view(), request.GetWorkload())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	f := &fanIn{
		source: s.config.Logs, request: request, id: state.IDOf(workload.GetKey()),
		out: make(chan *runwayv1.LogsResponse, logQueue), known: map[string]bool{},
	}
	defer f.readers.Wait()
	defer cancel()
	if f.join(ctx, s.view()) == 0 && !request.GetOptions().GetFollow() {
		return f.nobody()
	}
	return s.merge(ctx, f, stream)
}

// merge sends what the readers deliver until all have ended, or the caller leaves.
// While it follows a whole workload there is no end: replicas may come.
func (s serviceService) merge(ctx context.Context, f *fanIn, stream runwayv1.Services_LogsServer) error {
	var idle, changed <-chan struct{}
	if !f.open() {
		idle = f.idle()
	}
	for {
		if f.open() {
			view := s.view()
			changed = view.Changed(state.TableReplicas)
			f.join(ctx, view)
		}
		select {
		case message := <-f.out:
			if err := stream.Send(message); err != nil {
				return err
			}
		case <-changed:
		case <-idle:
			return f.flush(stream)
		case <-ctx.Done():
			return ended(ctx)
		}
	}
}

// fanIn is one call that reads several replicas.
type fanIn struct {
	source  logSource
	request *runwayv1.LogsRequest
	id      state.WorkloadID
	out     chan *runwayv1.LogsResponse
	// known are the replicas that are or were read; only the merging goroutine uses it.
	known   map[string]bool
	readers sync.WaitGroup
}

// join starts a reader for each replica that has none yet, and returns how many
// there are.
func (f *fanIn) join(ctx context.Context, view *state.View) int {
	for _, replica := range view.ReplicasOf(f.id) {
		id := replica.GetId()
		if f.known[id] || len(f.known) >= maxFanIn || !f.wants(replica) {
			continue
		}
		f.known[id] = true
		f.readers.Go(func() { f.read(ctx, id) })
	}
	return len(f.known)
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

func (f *fanIn) read(ctx context.Context, replica string) {
	stream, err := f.source.Logs(ctx, replica, f.request.GetOptions())
	if err != nil {
		f.problem(ctx, replica, err)
		return
	}
	defer stream.Close()
	for {
		lines, err := stream.Next(ctx)
		if err != nil {
			f.problem(ctx, replica, err)
			return
		}
		if len(lines) > 0 && !f.put(ctx, &runwayv1.LogsResponse{Lines: lines}) {
			return
		}
	}
}

// problem tells the reader why a replica's lines end early.
func (f *fanIn) problem(ctx context.Context, replica string, err error) {
	if errors.Is(err, io.EOF) || ctx.Err() != nil {
		return
	}
	f.put(ctx, &runwayv1.LogsResponse{Problem: fmt.Sprintf("%s replica %s: %v", code.LogsUnavailable, replica, err)})
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
