package simulation

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/runway-platform/runway/coordinator/deployment"
	"github.com/runway-platform/runway/coordinator/endpoint"
	"github.com/runway-platform/runway/coordinator/nodehealth"
	"github.com/runway-platform/runway/coordinator/placement"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/reaper"
)

// leader is one leadership: the controllers and what only they remember.
type leader struct {
	presence  *presence.Presence
	endpoints *endpoint.Controller
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

// elect starts a leader that remembers nothing.
func (w *World) elect() {
	ctx, cancel := context.WithCancel(w.ctx)
	l := &leader{presence: presence.New(), cancel: cancel}
	l.presence.Reset(time.Now())
	log := slog.New(slog.NewTextHandler(w.t.Output(), nil))
	l.endpoints = endpoint.New(endpoint.Config{Views: w.View, Applier: w, Acks: l.presence.Acks, Acked: l.presence.Changed, Log: log})
	for _, run := range []func(context.Context) error{
		l.endpoints.Run,
		nodehealth.New(nodehealth.Config{Views: w.View, Applier: w, LastBeat: l.presence.LastBeat, Unconfirmed: l.endpoints.Unconfirmed, Log: log}).Run,
		deployment.New(deployment.Config{Views: w.View, Applier: w, Log: log}).Run,
		placement.New(placement.Config{Views: w.View, Applier: w, NewID: w.newID, Log: log}).Run,
		reaper.New(reaper.Config{Views: w.View, Applier: w, Log: log}).Run,
	} {
		l.running.Go(func() {
			if err := run(ctx); err != nil {
				w.t.Errorf("controller ended: %v", err)
			}
		})
	}
	w.install(l)
}

// depose stops the leader, if there is one, and returns when all of it has ended.
func (w *World) depose() {
	if l, _ := w.leading(); l != nil {
		w.install(nil)
		l.cancel()
		l.running.Wait()
	}
}

func (w *World) install(l *leader) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leader = l
	close(w.elected)
	w.elected = make(chan struct{})
}

// leading returns the leader, nil while there is none, and a channel that is closed
// when that changes.
func (w *World) leading() (*leader, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leader, w.elected
}
