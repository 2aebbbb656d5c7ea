// Package spaces makes every space what its spec asks for, with whatever
// provisioner it is given: made when it is new, destroyed part by part when it is
// to be deleted. It knows what a space of this cluster consists of, and nothing of
// how other provisioners do it.
package spaces

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/runway-platform/runway/provisioning"
	"github.com/runway-platform/runway/provisioning/space"
)

const (
	// resync asks provisioners again that answer without a write to the state.
	resync = 2 * time.Second
	// callDeadline bounds one call of a provisioner, so that a hanging one delays
	// the other spaces and does not stop them.
	callDeadline = 30 * time.Second
)

// Config of the space controller.
type Config struct {
	Views   func() *state.View
	Applier loop.Applier
	// Provisioner of spaces; nil means the built-in one.
	Provisioner provisioning.Provisioner
	Log         *slog.Logger
}

// Controller is the space loop of the leader.
type Controller struct{ config Config }

// New returns a controller that does nothing until Run.
func New(config Config) *Controller {
	if config.Provisioner == nil {
		config.Provisioner = space.New(parts(config.Views, config.Applier)...)
	}
	return &Controller{config: config}
}

// Run reconciles spaces until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	return loop.Run(ctx, loop.Config{
		Name:    "spaces",
		Views:   c.config.Views,
		Tables:  []state.Table{state.TableSpaces, state.TableWorkloads, state.TableTokens},
		Resync:  resync,
		Plan:    func(view *state.View, _ time.Time) []proto.Message { return c.reconcile(ctx, view) },
		Applier: c.config.Applier,
		Log:     c.config.Log,
	})
}

// reconcile asks the provisioner about every space that is not as asked, and
// returns what to write down about it.
func (c *Controller) reconcile(ctx context.Context, view *state.View) []proto.Message {
	var commands []proto.Message
	for _, s := range view.Spaces() {
		if !s.GetSpec().GetDelete() && s.GetStatus().GetPhase() == runwayv1.SpacePhase_SPACE_PHASE_READY && len(s.GetStatus().GetParts()) > 0 {
			continue
		}
		if command := c.reconcileOne(ctx, s); command != nil {
			commands = append(commands, command)
		}
	}
	return commands
}

func (c *Controller) reconcileOne(ctx context.Context, s *runwayv1.Space) proto.Message {
	ctx, cancel := context.WithTimeout(ctx, callDeadline)
	defer cancel()
	request := provisioning.Request{Kind: provisioning.Space, Name: s.GetName()}
	if !s.GetSpec().GetDelete() {
		made, err := c.call(ctx, c.config.Provisioner.Apply, request)
		return statusChange(s, runwayv1.SpacePhase_SPACE_PHASE_PROVISIONING, made, err)
	}
	left, err := c.call(ctx, c.config.Provisioner.Destroy, request)
	if err == nil && len(left) == 0 {
		return &runwayv1.PurgeSpace{Name: s.GetName()}
	}
	return statusChange(s, runwayv1.SpacePhase_SPACE_PHASE_DELETING, left, err)
}

// call makes a panic of the provisioner an error about this space, so that the
// others are still looked after.
func (c *Controller) call(ctx context.Context, do func(context.Context, provisioning.Request) ([]provisioning.Part, error), request provisioning.Request) (parts []provisioning.Part, err error) {
	defer func() {
		if defect := recover(); defect != nil {
			c.config.Log.Error("provisioner panicked", "component", "spaces", "space", request.Name, "err", defect, "stack", string(debug.Stack()))
			err = fmt.Errorf("a defect of the provisioner: %v", defect)
		}
	}()
	return do(ctx, request)
}

// statusChange returns the command that writes what the provisioner said, nil when
// the state says so already.
func statusChange(s *runwayv1.Space, phase runwayv1.SpacePhase, parts []provisioning.Part, err error) proto.Message {
	next := &runwayv1.SpaceStatus{Phase: phase}
	for _, part := range parts {
		next.Parts = append(next.Parts, &runwayv1.SpacePart{Name: part.Name, Ready: part.Ready, Detail: part.Detail})
	}
	switch {
	case err != nil:
		next.Parts = s.GetStatus().GetParts()
		next.Cause = &runwayv1.Cause{Code: string(code.SpaceNotReady), Summary: err.Error(), Fix: code.SpaceNotReady.Fix()}
	case phase == runwayv1.SpacePhase_SPACE_PHASE_PROVISIONING && !slices.ContainsFunc(parts, func(p provisioning.Part) bool { return !p.Ready }):
		next.Phase = runwayv1.SpacePhase_SPACE_PHASE_READY
	}
	if proto.Equal(next, s.GetStatus()) {
		return nil
	}
	return &runwayv1.SetSpaceStatus{Name: s.GetName(), Status: next}
}
