package cli

import (
	"context"
	"time"

	"github.com/runway-platform/runway/proto/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// pollEvery is how often a state without a watch is asked for.
	pollEvery = 250 * time.Millisecond
	// pollLimit is longer than a drain and a stop together.
	pollLimit = 3 * time.Minute
)

// until asks again and again until reached says yes. A coordinator that is away for
// a while does not end the wait.
func (a *app) until(ctx context.Context, what string, reached func(context.Context) (bool, error)) error {
	steps := a.newProgress()
	defer steps.clear()
	limited, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	for {
		done, err := reached(limited)
		if done || (err != nil && !passing(err) && limited.Err() == nil) {
			return err
		}
		steps.now("%s", what)
		pause(limited, pollEvery)
		if ctx.Err() == nil && limited.Err() != nil {
			return &failure{exit: exitStillRunning, code: code.DeploymentGoesOn, summary: "still waiting after " + pollLimit.String() + ": " + what, fix: "look again with `runwayctl status` or `runwayctl spaces list`"}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func isNotFound(err error) bool { return status.Code(err) == codes.NotFound }

// unless returns err when condition is false.
func unless(condition bool, err error) error {
	if condition {
		return nil
	}
	return err
}
