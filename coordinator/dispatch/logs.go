package dispatch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/coordinator/caller"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// uploadTimeout is how long an agent may take to open its upload.
	uploadTimeout = 5 * time.Second
	// maxLogStreams bounds the log streams of all callers.
	maxLogStreams = 512
	// lineQueue is how many messages wait for a reader; beyond it the agent waits.
	lineQueue = 4
)

type uploadStream = grpc.ClientStreamingServer[runwayv1.LogUpload, runwayv1.LogUploadSummary]

// LogStream delivers the lines of one replica. Its owner closes it.
type LogStream struct {
	id      string
	node    string
	replica string
	logs    *logs
	// opened is closed when the agent has opened the upload.
	opened chan struct{}
	// lines is written by the upload and closed by nobody: ended says when.
	lines chan []*runwayv1.LogLine
	ended chan struct{}
	err   error
	// closed is closed when the reader is done.
	closed    chan struct{}
	closeOnce sync.Once
}

// logs are the log streams that wait for their agent or are under way.
type logs struct {
	mu      sync.Mutex
	streams map[string]*LogStream
}

func newLogs() *logs { return &logs{streams: map[string]*LogStream{}} }

// Logs asks the agent of a replica for its lines and returns when it delivers. It
// gives ErrNoReplica, ErrNoSession, ErrTooManyLogs or ErrNoUpload.
func (d *Dispatcher) Logs(ctx context.Context, replica string, options *runwayv1.LogOptions) (*LogStream, error) {
	target := d.config.Views().Replica(replica)
	if target == nil {
		return nil, fmt.Errorf("read log of replica %q: %w", replica, ErrNoReplica)
	}
	stream, err := d.logs.open(target)
	if err != nil {
		return nil, fmt.Errorf("read log of replica %q: %w", replica, err)
	}
	if err := d.request(stream, options); err != nil {
		stream.Close()
		return nil, fmt.Errorf("read log of replica %q: %w", replica, err)
	}
	if err := stream.await(ctx); err != nil {
		stream.Close()
		return nil, fmt.Errorf("read log of replica %q: %w", replica, err)
	}
	return stream, nil
}

// request hands the request to the agent's session.
func (d *Dispatcher) request(stream *LogStream, options *runwayv1.LogOptions) error {
	d.mu.Lock()
	session := d.agents[stream.node]
	d.mu.Unlock()
	if session == nil {
		return ErrNoSession
	}
	request := &runwayv1.OpenLogs{
		Stream: stream.id, Replica: stream.replica, Options: options, Deadline: durationpb.New(uploadTimeout),
	}
	select {
	case session.openLogs <- request:
		return nil
	default:
		return ErrTooManyLogs
	}
}

// Next returns more lines, io.EOF after the last one, or why the agent stopped.
func (s *LogStream) Next(ctx context.Context) ([]*runwayv1.LogLine, error) {
	select {
	case lines := <-s.lines:
		return lines, nil
	default:
	}
	select {
	case lines := <-s.lines:
		return lines, nil
	case <-s.ended:
		return s.last()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// last drains what was delivered before the end.
func (s *LogStream) last() ([]*runwayv1.LogLine, error) {
	select {
	case lines := <-s.lines:
		return lines, nil
	default:
		return nil, s.err
	}
}

// Close tells the agent to stop. It may be called more than once.
func (s *LogStream) Close() {
	s.closeOnce.Do(func() {
		close(s.closed)
		s.logs.mu.Lock()
		defer s.logs.mu.Unlock()
		delete(s.logs.streams, s.id)
	})
}

func (s *LogStream) await(ctx context.Context) error {
	timer := time.NewTimer(uploadTimeout)
	defer timer.Stop()
	select {
	case <-s.opened:
		return nil
	case <-timer.C:
		return ErrNoUpload
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *logs) open(replica *runwayv1.Replica) (*LogStream, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.streams) >= maxLogStreams {
		return nil, ErrTooManyLogs
	}
	stream := &LogStream{
		id: rand.Text(), node: replica.GetPlan().GetNode(), replica: replica.GetId(), logs: l,
		opened: make(chan struct{}), lines: make(chan []*runwayv1.LogLine, lineQueue),
		ended: make(chan struct{}), closed: make(chan struct{}),
	}
	l.streams[stream.id] = stream
	return stream, nil
}

// claim gives a stream to the upload of its node, once.
func (l *logs) claim(id, node string) (*LogStream, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	stream := l.streams[id]
	if stream == nil || stream.node != node {
		return nil, fmt.Errorf("log stream: %w", errForbidden)
	}
	select {
	case <-stream.opened:
		return nil, fmt.Errorf("log stream is open: %w", errForbidden)
	default:
		close(stream.opened)
		return stream, nil
	}
}

// upload carries an agent's lines to the reader of the stream that it names.
func (l *logs) upload(who caller.Caller, from uploadStream) error {
	message, err := first(from.Context(), from.Recv)
	if err != nil {
		return fmt.Errorf("receive log stream: %w", err)
	}
	stream, err := l.claim(message.GetStream(), who.ID)
	if err != nil {
		return err
	}
	count, err := stream.fill(from, message)
	stream.err = err
	close(stream.ended)
	return from.SendAndClose(&runwayv1.LogUploadSummary{Lines: count})
}

// fill passes lines on until the upload or the reader ends. A slow reader slows the
// agent through the stream's flow control.
func (s *LogStream) fill(from uploadStream, message *runwayv1.LogUpload) (uint64, error) {
	var count uint64
	arrived := arrivals(from)
	for {
		for _, line := range message.GetLines() {
			line.Replica = s.replica
		}
		select {
		case s.lines <- message.GetLines():
			count += uint64(len(message.GetLines()))
		case <-s.closed:
			return count, io.EOF
		case <-from.Context().Done():
			return count, fmt.Errorf("%w: %w", ErrNoUpload, context.Cause(from.Context()))
		}
		if message.GetError() != "" {
			return count, fmt.Errorf("%w: %s", ErrNoUpload, cut(message.GetError()))
		}
		next, err := s.receive(arrived)
		if errors.Is(err, io.EOF) {
			return count, io.EOF
		}
		if err != nil {
			return count, fmt.Errorf("%w: %w", ErrNoUpload, err)
		}
		message = next
	}
}

// arrival is what a receive returned.
type arrival struct {
	message *runwayv1.LogUpload
	err     error
}

// arrivals receives the uploads of an agent until they end: its goroutine does with
// the stream, which is when the handler returns.
func arrivals(from uploadStream) <-chan arrival {
	arrived := make(chan arrival)
	go func() {
		for {
			message, err := from.Recv()
			select {
			case arrived <- arrival{message, err}:
			case <-from.Context().Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return arrived
}

// receive waits for the agent, or for the reader to be done: a quiet replica that is
// followed must not keep its stream after the reader left.
func (s *LogStream) receive(arrived <-chan arrival) (*runwayv1.LogUpload, error) {
	select {
	case a := <-arrived:
		return a.message, a.err
	case <-s.closed:
		return nil, io.EOF
	}
}
