package api

import (
	"context"
	"sync"
	"time"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
)

// whileValid returns a context that ends when the caller's token is revoked or
// expires, so that no stream outlives the right to it. Streams of machines end with
// their sessions. release frees what it holds.
func (a *API) whileValid(ctx context.Context, who caller.Caller) (valid context.Context, release func()) {
	if who.Role < viewer {
		return ctx, func() {}
	}
	valid, end := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { end(a.invalid(valid, who)) })
	return valid, func() {
		end(nil)
		watching.Wait()
	}
}

// invalid returns when the caller's token has ceased to count, and why.
func (a *API) invalid(ctx context.Context, who caller.Caller) error {
	var expiry <-chan time.Time
	if !who.Expires.IsZero() {
		timer := time.NewTimer(time.Until(who.Expires))
		defer timer.Stop()
		expiry = timer.C
	}
	for {
		view := a.view()
		if view.Token(who.ID) == nil {
			return unauthenticated()
		}
		select {
		case <-view.Changed(state.TableTokens):
		case <-expiry:
			return refuse(unauthenticatedStatus, code.TokenExpired, "the credential of %q has expired", who.Name)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// whileServing returns a context that ends when this coordinator no longer answers:
// with its leadership, or with itself. The cause says where to go on. Sessions end by
// themselves.
func (a *API) whileServing(ctx context.Context, r right) (serving context.Context, release func(), err error) {
	if a.config.Lifetime == nil {
		return ctx, func() {}, nil
	}
	leading, running := a.config.Lifetime()
	life, why := running, func() error { return refuse(unavailableStatus, code.Unreachable, "this coordinator is being stopped") }
	if !r.anywhere {
		life, why = leading, func() error { leader, _ := a.config.Leader(); return client.NotLeader(leader) }
	}
	if life == nil {
		return nil, nil, why()
	}
	serving, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(life, func() { end(why()) })
	return serving, func() { stop(); end(nil) }, nil
}
