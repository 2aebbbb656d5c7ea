// Package loop runs a controller: a level-triggered loop that looks at the whole
// state whenever something changed, and at least at every resync. Start-up, events
// and repair are therefore one path. It decides nothing itself.
package loop

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/state"
)

// retry is how long a loop waits after a failed step before it looks again, so
// that a refusing log does not make a busy loop.
const retry = 250 * time.Millisecond

// Applier writes a command to the replicated log and returns when it is applied.
type Applier interface {
	Apply(ctx context.Context, payload proto.Message) (command.Result, error)
}

// Plan looks at the state and returns the commands that bring it closer to what
// is desired. It must be pure, and return nothing when all is as desired.
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

// Run loops until ctx ends. It never returns an error of a step: a step that
// failed is tried again from a fresh look.
func Run(ctx context.Context, c Config) error {
	log := c.Log.With("component", c.Name)
	for ctx.Err() == nil {
		wake := c.wake()
		view := c.Views()
		changed := view.Changed(c.Tables...)
		if err := c.submit(ctx, c.Plan(view, time.Now())); err != nil && ctx.Err() == nil {
			log.Warn("step refused, looking again", "err", err, "index", view.Index())
			wait(ctx, nil, nil, retry)
			continue
		}
		wait(ctx, changed, wake, c.Resync)
	}
	return nil
}

func (c Config) wake() <-chan struct{} {
	if c.Wake == nil {
		return nil
	}
	return c.Wake()
}

// submit applies the commands in order and stops at the first that fails, because
// the later ones may rest on it.
func (c Config) submit(ctx context.Context, commands []proto.Message) error {
	for _, payload := range commands {
		_, err := c.Applier.Apply(ctx, payload)
		if errors.Is(err, command.ErrConflict) || errors.Is(err, command.ErrNotFound) {
			return nil // the state moved on under this plan; the change has woken us
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func wait(ctx context.Context, changed, wake <-chan struct{}, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-wake:
	case <-timer.C:
	}
}
