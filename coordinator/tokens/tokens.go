// Package tokens says in good time that the last token of a cluster administrator
// ends. It makes and removes none: who may enter is for people to decide.
package tokens

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// soon is how long before the end it is said for the first time.
	soon = 14 * 24 * time.Hour
	// again is how often it is said.
	again = 24 * time.Hour
	// resync is how late it may be said.
	resync = time.Minute
)

// Config of the controller.
type Config struct {
	Views   func() *state.View
	Applier loop.Applier
	Log     *slog.Logger
}

// Controller is the loop of the leader.
type Controller struct{ config Config }

// New returns a controller that does nothing until Run.
func New(config Config) *Controller { return &Controller{config: config} }

// Run watches until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	return loop.Run(ctx, loop.Config{
		Name:    "tokens",
		Views:   c.config.Views,
		Tables:  []state.Table{state.TableTokens},
		Resync:  resync,
		Plan:    (&planner{}).plan,
		Applier: c.config.Applier,
		Log:     c.config.Log,
	})
}

// planner is the pure part. It remembers when it spoke, so that a new leader may say
// it once more.
type planner struct{ said time.Time }

func (p *planner) plan(view *state.View, now time.Time) []proto.Message {
	at, ends := LastAdmin(view)
	if !ends || at.Sub(now) > soon || now.Sub(p.said) < again {
		return nil
	}
	p.said = now
	message := fmt.Sprintf("the last token of a cluster admin ends at %s; make another one with `runwayctl tokens create NAME --role cluster-admin`", at.UTC().Format(time.RFC3339))
	if !now.Before(at) {
		message = "no token of a cluster admin is valid; make one with `runway coordinator admin-token` on the machine of a coordinator"
	}
	return []proto.Message{&runwayv1.RecordEvents{Events: []*runwayv1.Event{{Kind: "token.ends_soon", Message: message}}}}
}

// LastAdmin returns when the last token ends that can make others of its kind. ends
// is false when one never does, or there is none.
func LastAdmin(view *state.View) (at time.Time, ends bool) {
	for _, token := range view.Tokens() {
		if token.GetRole() != runwayv1.Role_ROLE_CLUSTER_ADMIN || len(token.GetSpaces()) > 0 {
			continue
		}
		if token.GetExpiresAt() == nil {
			return time.Time{}, false
		}
		if next := token.GetExpiresAt().AsTime(); next.After(at) {
			at, ends = next, true
		}
	}
	return at, ends
}
