package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/agent/logs"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// maxUploads at once; people and dashboards that follow logs are few.
	maxUploads = 32
	// uploadDeadline is how long opening one may take when the request does not say.
	uploadDeadline = 10 * time.Second
	// batchLines bounds one message.
	batchLines = 256
	// nextAttemptEvery is how often the attempt after the one that ended is looked for.
	nextAttemptEvery = 250 * time.Millisecond
	// assignedWithin is how long a reader that follows waits for a replica that this node has not heard of: its assignment may
	// be behind the request.
	assignedWithin = 5 * time.Second
)

// uploader sends log lines to the coordinator when it asks: a node needs no inbound port for that.
type uploader struct {
	conn  grpc.ClientConnInterface
	logs  *logs.Collector
	slots chan struct{}
	log   *slog.Logger
	// attempt returns the present attempt of a replica, false when it is not on this node.
	attempt func(replica string) (int, bool)
}

// serve answers one request and returns when all lines were sent, or ctx ends.
func (u *uploader) serve(ctx context.Context, request *runwayv1.OpenLogs) {
	err := u.upload(ctx, request)
	if err != nil && ctx.Err() == nil {
		u.log.Warn("log upload ended", "replica_id", request.GetReplica(), "stream", request.GetStream(), "err", err)
	}
}

func (u *uploader) upload(ctx context.Context, request *runwayv1.OpenLogs) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(cmp.Or(request.GetDeadline().AsDuration(), uploadDeadline), cancel)
	defer late.Stop()
	stream, err := runwayv1.NewAgentSessionClient(u.conn).UploadLogs(ctx)
	if err != nil {
		return fmt.Errorf("open log upload: %w", err)
	}
	if err := stream.Send(&runwayv1.LogUpload{Stream: request.GetStream()}); err != nil {
		return u.reason(stream, err)
	}
	late.Stop()
	if err := u.sendLines(ctx, cancel, stream, request); err != nil {
		return u.reason(stream, err)
	}
	_, err = stream.CloseAndRecv()
	return err
}

// reason is why the stream ended: after a failed Send only the answer tells.
func (u *uploader) reason(stream grpc.ClientStreamingClient[runwayv1.LogUpload, runwayv1.LogUploadSummary], err error) error {
	_, reason := stream.CloseAndRecv()
	return errors.Join(err, reason)
}

// sendLines reads beside sending, so that lines gather into messages while one is on its way.
func (u *uploader) sendLines(ctx context.Context, cancel func(), stream grpc.ClientStreamingClient[runwayv1.LogUpload, runwayv1.LogUploadSummary], request *runwayv1.OpenLogs) error {
	lines := make(chan *runwayv1.LogLine, batchLines)
	ended := make(chan error, 1)
	go func() {
		defer close(lines)
		ended <- u.read(ctx, request, lines)
	}()
	for first := range lines {
		if err := stream.Send(&runwayv1.LogUpload{Lines: gather(first, lines)}); err != nil {
			cancel()
			<-ended
			return err
		}
	}
	if err := <-ended; err != nil {
		return stream.Send(&runwayv1.LogUpload{Error: printable(err.Error(), summaryBytes)})
	}
	return nil
}

func gather(first *runwayv1.LogLine, lines <-chan *runwayv1.LogLine) []*runwayv1.LogLine {
	batch := []*runwayv1.LogLine{first}
	for len(batch) < batchLines {
		select {
		case line, more := <-lines:
			if !more {
				return batch
			}
			batch = append(batch, line)
		default:
			return batch
		}
	}
	return batch
}

// read sends the wanted lines of a replica to lines. A reader that follows goes on with the next attempt when one ends, and waits
// for the first.
func (u *uploader) read(ctx context.Context, request *runwayv1.OpenLogs, lines chan<- *runwayv1.LogLine) error {
	replica, asked := request.GetReplica(), request.GetOptions()
	options := logs.Options{Tail: int(asked.GetTail()), Follow: asked.GetFollow() && !asked.GetPrevious()}
	if asked.GetSince() != nil {
		options.Since = asked.GetSince().AsTime()
	}
	if options.Follow {
		u.awaitAssignment(ctx, replica)
	}
	select {
	case u.slots <- struct{}{}:
		defer func() { <-u.slots }()
	default:
		return fmt.Errorf("read logs: %d streams are open on this node already", maxUploads)
	}
	attempt, err := u.choose(replica, asked.GetPrevious())
	if err != nil {
		return err
	}
	for known := true; known; attempt, known = u.await(ctx, replica, attempt) {
		err := u.logs.Read(ctx, containerName(replica, attempt), options, u.into(ctx, replica, lines))
		if err != nil && !errors.Is(err, logs.ErrNotFound) {
			return err
		}
		if !options.Follow {
			return nil
		}
		if err == nil {
			options.Tail = 0
		}
	}
	return ctx.Err()
}

// awaitAssignment returns when the replica is known here, or when it has had its time to be.
func (u *uploader) awaitAssignment(ctx context.Context, replica string) {
	ctx, cancel := context.WithTimeout(ctx, assignedWithin)
	defer cancel()
	for ctx.Err() == nil {
		if _, known := u.attempt(replica); known {
			return
		}
		pause(ctx, nextAttemptEvery)
	}
}

// choose returns the attempt to begin with: the present one, or, when that was not made yet or the one before is asked for, the
// last before it that wrote anything. A replica in a crash loop or given up is explained by the attempt that ended.
func (u *uploader) choose(replica string, previous bool) (int, error) {
	present, known := u.attempt(replica)
	if !known {
		return 0, fmt.Errorf("read logs of replica %q: %w", replica, logs.ErrNotFound)
	}
	if !previous && u.logs.Has(containerName(replica, present)) {
		return present, nil
	}
	for earlier := present - 1; earlier >= 0 && earlier >= present-keptAttempts; earlier-- {
		last, err := u.logs.Tail(containerName(replica, earlier), 1)
		if err != nil {
			return 0, err
		}
		if len(last) > 0 {
			return earlier, nil
		}
	}
	if previous {
		return 0, fmt.Errorf("read logs of replica %q: no earlier attempt wrote any: %w", replica, logs.ErrNotFound)
	}
	return present, nil
}

// await returns the attempt after the given one, or that one itself if it was not made yet, once it has logs; false when the replica is gone or ctx ended.
func (u *uploader) await(ctx context.Context, replica string, ended int) (int, bool) {
	if !u.logs.Has(containerName(replica, ended)) {
		ended--
	}
	for ctx.Err() == nil {
		attempt, known := u.attempt(replica)
		if !known {
			return 0, false
		}
		if attempt > ended && u.logs.Has(containerName(replica, attempt)) {
			return attempt, true
		}
		pause(ctx, nextAttemptEvery)
	}
	return 0, false
}

func (u *uploader) into(ctx context.Context, replica string, lines chan<- *runwayv1.LogLine) func(logs.Line) error {
	return func(line logs.Line) error {
		message := &runwayv1.LogLine{At: timestamppb.New(line.At), Replica: replica, Text: line.Text, Late: line.Late}
		select {
		case lines <- message:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
