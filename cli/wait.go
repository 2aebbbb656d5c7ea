package cli

import (
	"context"
	"time"

	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// pollEvery is how often a state without a watch is asked for.
	pollEvery = 250 * time.Millisecond
	// pollLimit is longer than a drain and a stop together.
	pollLimit = 3 * time.Minute
	// blockedLimit is how long the same cause may stand in the way before the wait
	// ends with it: longer than a passing fault, shorter than a person's patience.
	blockedLimit = 15 * time.Second
)

// look is what a wait sees: whether it is over, and what stands in the way.
type look struct {
	done    bool
	blocked *runwayv1.Cause
}

// until looks again and again until it is done. A coordinator that is away for a
// while does not end the wait; a cause that stays does.
func (a *app) until(ctx context.Context, what string, take func(context.Context) (look, error)) error {
	steps := a.newProgress()
	defer steps.clear()
	limited, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	var blockedSince time.Time
	for {
		seen, err := take(limited)
		if seen.done || (err != nil && !passing(err) && limited.Err() == nil) {
			return err
		}
		switch {
		case seen.blocked == nil:
			blockedSince = time.Time{}
			steps.now("%s", what)
		case blockedSince.IsZero():
			blockedSince = time.Now()
			fallthrough
		default:
			steps.now("%s: %s", what, oneLine(seen.blocked.GetSummary()))
			if time.Since(blockedSince) > blockedLimit {
				return blockedFailure(what, seen.blocked)
			}
		}
		pause(limited, pollEvery)
		if ctx.Err() == nil && limited.Err() != nil {
			return &failure{exit: exitStillRunning, code: code.WaitEnded, summary: "still waiting after " + pollLimit.String() + ": " + what, fix: code.WaitEnded.Fix()}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// blockedFailure says what stands in the way. The coordinator goes on trying.
func blockedFailure(what string, cause *runwayv1.Cause) *failure {
	f := causeFailure(cause)
	f.exit, f.summary = exitStillRunning, what+": "+f.summary
	return f
}

func isNotFound(err error) bool { return status.Code(err) == codes.NotFound }

// unless returns err when condition is false.
func unless(condition bool, err error) error {
	if condition {
		return nil
	}
	return err
}
