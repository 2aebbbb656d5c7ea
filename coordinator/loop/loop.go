// Package loop runs a controller: a level-triggered loop that looks at the whole
// state whenever something changed, and at least at every resync. Start-up, events
// and repair are therefore one path. It decides nothing itself, and lets nothing
// that one step trips over end the loop.
package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// A loop waits before it looks again when a step failed or was refused in part, so
// that a refusing log does not make a busy loop: retryFirst, then twice as long each
// time, up to retryMost.
const (
	retryFirst = 50 * time.Millisecond
	retryMost  = 2 * time.Second
)

// Applier writes a command to the replicated log and returns when it is applied.
type Applier interface {
	Apply(ctx context.Context, payload proto.Message) (command.Result, error)
}

// Plan looks at the state and returns the commands that bring it closer to what
// is desired. It must return nothing when all is as desired.
type Plan func(view *state.View, now time.Time) []proto.Message

// Config of a controller's loop.
type Config struct {
	// Name of the controller, for the log.
	Name string
	// Views returns the newest state.
	Views func() *state.View
	// Tables whose writes wake the loop.
	Tables []state.Table
	// Wake returns a channel that is closed when something outside the state
	// changed; nil when there is nothing.
	Wake func() <-chan struct{}
	// Resync is the longest time between two looks.
	Resync time.Duration
	// Plan is what to do.
	Plan Plan
	// Applier takes the commands.
	Applier Applier
	// Log is for failures only; plans say what they do through events.
	Log *slog.Logger
}

// Errors that end a step and not the loop.
var (
	errPanic   = errors.New("the plan panicked")
	errRefused = errors.New("a command was refused")
)

// Loop is a controller between two looks.
type Loop struct {
	config Config
	log    *slog.Logger
	// delay is the wait after the next failure.
	delay time.Duration
}

// Due is when a loop wants to look again: once a channel is closed, a nil one never
// being, and after Within at the latest.
type Due struct {
	Changed, Wake <-chan struct{}
	Within        time.Duration
}

// New returns a loop that has not looked yet, for somebody who gives it its turns.
func New(c Config) *Loop {
	return &Loop{config: c, log: c.Log.With("component", c.Name), delay: retryFirst}
}

// Run loops until ctx ends. It never returns an error of a step: a step that
// failed is tried again from a fresh look. After a step that wrote something it
// looks again at once.
func Run(ctx context.Context, c Config) error {
	for l := New(c); ctx.Err() == nil; {
		wait(ctx, l.Look(ctx))
	}
	return nil
}

// Look takes one step.
func (l *Loop) Look(ctx context.Context) Due {
	wake, view := l.config.wake(), l.config.Views()
	due := Due{Changed: view.Changed(l.config.Tables...), Wake: wake, Within: l.config.Resync}
	wrote, err := l.config.step(ctx, view)
	if err != nil && ctx.Err() == nil {
		report(ctx, l.log, err, view.Index())
		return l.again(due, err)
	}
	l.delay = retryFirst
	if wrote {
		due.Within = 0
	}
	return due
}

// again is the time after a failed step. A refusal may be over with the next change;
// a log that takes nothing is not.
func (l *Loop) again(due Due, err error) Due {
	due.Within = l.delay
	l.delay = min(2*l.delay, retryMost)
	if !errors.Is(err, errRefused) {
		due.Changed, due.Wake = nil, nil
	}
	return due
}

func (c Config) wake() <-chan struct{} {
	if c.Wake == nil {
		return nil
	}
	return c.Wake()
}

// step plans once and submits. A panic of the plan is an error of this step.
func (c Config) step(ctx context.Context, view *state.View) (wrote bool, err error) {
	defer func() {
		if defect := recover(); defect != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, defect, debug.Stack())
		}
	}()
	commands := c.Plan(view, time.Now())
	return len(commands) > 0, c.submit(ctx, commands)
}

// submit applies the commands in order. One that is refused says nothing about the
// others, which are about other workloads: it is remembered, and the loop looks
// again. Without a log to write to, the rest is left.
func (c Config) submit(ctx context.Context, commands []proto.Message) error {
	var refused []error
	for _, payload := range commands {
		for _, part := range split(payload, batch) {
			result, err := c.Applier.Apply(ctx, part)
			var rejection *command.Rejection
			switch {
			case errors.As(err, &rejection):
				refused = append(refused, fmt.Errorf("%w: %T: %w", errRefused, part, err))
			case err != nil:
				return err
			default:
				refused = append(refused, refusalsOf(result)...)
			}
		}
	}
	return errors.Join(refused...)
}

// refusalsOf returns the items that a command left out.
func refusalsOf(result command.Result) []error {
	refusals, ok := result.Value.(*runwayv1.Refusals)
	if !ok {
		return nil
	}
	var refused []error
	for _, r := range refusals.GetRefused() {
		refused = append(refused, fmt.Errorf("%w: replica %q: %w: %s %s", errRefused, r.GetReplica(), command.ErrConflict, r.GetCode(), r.GetReason()))
	}
	return refused
}

// report logs why a step has to be repeated, by who must act.
func report(ctx context.Context, log *slog.Logger, err error, index uint64) {
	level := slog.LevelWarn
	switch {
	case errors.Is(err, errPanic), errors.Is(err, command.ErrInternal):
		level = slog.LevelError
	case errors.Is(err, command.ErrConflict), errors.Is(err, command.ErrNotFound):
		level = slog.LevelDebug // the state moved on under the plan
	}
	log.Log(ctx, level, "step refused, looking again", "err", err, "index", index)
}

func wait(ctx context.Context, due Due) {
	if due.Within == 0 {
		return
	}
	timer := time.NewTimer(due.Within)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-due.Changed:
	case <-due.Wake:
	case <-timer.C:
	}
}
