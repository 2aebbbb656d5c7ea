package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/dispatch"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// A reader that ended early begins again: after logRetryFirst, then twice as long
// each time, up to logRetryMost. Who does not follow waits for it logAttempts times.
const (
	logRetryFirst, logRetryMost = 100 * time.Millisecond, 5 * time.Second
	logAttempts                 = 5
)

// logReader reads the lines of one replica, in as many attempts as it takes.
type logReader struct {
	*fanIn
	replica  string
	position logPosition
	// said is the problem that the caller was told last.
	said string
}

// read reads a replica to its end, once it has its turn.
func (f *fanIn) read(ctx context.Context, replica string) {
	select {
	case f.slots <- struct{}{}:
		f.waiting.Add(-1)
	case <-ctx.Done():
		return
	}
	defer func() { <-f.slots }()
	r := &logReader{fanIn: f, replica: replica, position: positionOf(f.request.GetAfter()[replica])}
	delay := logRetryFirst
	for attempt := 1; ; attempt++ {
		progress, err := r.attempt(ctx)
		if ctx.Err() != nil || r.over(err, attempt) {
			r.problem(ctx, err)
			return
		}
		if progress {
			delay = logRetryFirst
		}
		if r.follows() {
			r.problem(ctx, err)
		}
		if !wait(ctx, delay) {
			return
		}
		delay = min(2*delay, logRetryMost)
	}
}

// attempt reads from the position on until the agent ends. It tells whether there
// was anything new.
func (r *logReader) attempt(ctx context.Context) (progress bool, err error) {
	stream, err := r.source.Logs(ctx, r.replica, r.position.options(r.request.GetOptions()))
	if err != nil {
		return false, err
	}
	defer stream.Close()
	skip := r.position.skip()
	for {
		lines, err := stream.Next(ctx)
		if err != nil {
			return progress, err
		}
		lines = r.position.advance(skip.after(lines))
		if len(lines) == 0 {
			continue
		}
		progress, r.said = true, ""
		if !r.put(ctx, &runwayv1.LogsResponse{Lines: lines}) {
			return true, ctx.Err()
		}
	}
}

func (r *logReader) follows() bool {
	return r.request.GetOptions().GetFollow() && !r.request.GetOptions().GetPrevious()
}

// over says whether a replica has no more lines for this call: it was read to its
// end, or is gone while it is followed. An agent that is away while it is followed
// comes back; without following, only what passes by itself is tried again.
func (r *logReader) over(err error, attempt int) bool {
	if r.follows() {
		now := r.views().Replica(r.replica)
		return now == nil || now.GetStatus().GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED
	}
	passing := errors.Is(err, dispatch.ErrTooManyLogs) || errors.Is(err, dispatch.ErrNoUpload)
	return !passing || attempt >= logAttempts
}

// problem tells the caller, once, why lines of a replica are missing.
func (r *logReader) problem(ctx context.Context, err error) {
	if errors.Is(err, io.EOF) || err.Error() == r.said || ctx.Err() != nil {
		return
	}
	r.said = err.Error()
	r.put(ctx, &runwayv1.LogsResponse{Problem: fmt.Sprintf("%s replica %s: %v", code.LogsUnavailable, r.replica, err)})
}

// logPosition is the last line that was delivered of a replica. Lines have no number;
// their time and how many there were of it is what tells them apart.
type logPosition struct {
	at    time.Time
	lines int
}

func positionOf(p *runwayv1.LogPosition) logPosition {
	if p.GetAt() == nil {
		return logPosition{}
	}
	return logPosition{at: p.GetAt().AsTime(), lines: int(p.GetLines())}
}

// options are those that were asked for, from the position on.
func (p *logPosition) options(asked *runwayv1.LogOptions) *runwayv1.LogOptions {
	if p.at.IsZero() {
		return asked
	}
	rest := proto.CloneOf(asked)
	rest.Since, rest.Tail = timestamppb.New(p.at), 0
	return rest
}

// advance counts lines and returns them.
func (p *logPosition) advance(lines []*runwayv1.LogLine) []*runwayv1.LogLine {
	for _, line := range lines {
		if at := line.GetAt().AsTime(); !at.Equal(p.at) {
			*p = logPosition{at: at}
		}
		p.lines++
	}
	return lines
}

// skip is what an attempt from the position on delivers a second time.
func (p *logPosition) skip() *logPosition {
	again := *p
	return &again
}

// after returns the lines behind those that are skipped.
func (p *logPosition) after(lines []*runwayv1.LogLine) []*runwayv1.LogLine {
	for i, line := range lines {
		at := line.GetAt().AsTime()
		if at.After(p.at) || at.Equal(p.at) && p.lines == 0 {
			p.at = time.Time{}
			return lines[i:]
		}
		if at.Equal(p.at) {
			p.lines--
		}
	}
	return nil
}

// wait waits for d; false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
