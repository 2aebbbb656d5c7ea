package simulation

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/runway-platform/runway/coordinator/deployment"
	"github.com/runway-platform/runway/coordinator/endpoint"
	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/nodehealth"
	"github.com/runway-platform/runway/coordinator/placement"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/reaper"
	"github.com/runway-platform/runway/failpoint"
)

// leader is one leadership: the controllers and what only they remember.
type leader struct {
	presence  *presence.Presence
	endpoints *endpoint.Controller
	actors    []*actor
	flying    []*entry
	// lost: it takes no writes any more. still: until then it hears nobody.
	lost  bool
	still time.Time
}

// elect starts a leader that remembers nothing, if there is none.
func (w *World) elect() {
	if w.leader != nil {
		return
	}
	l := &leader{presence: presence.New()}
	l.presence.Reset(time.Now())
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(w.t.Output(), nil))
	}
	hands := func(name string) *hand { return &hand{world: w, name: name, lead: l} }
	h := hands("endpoint")
	l.endpoints = endpoint.New(endpoint.Config{Views: h.View, Applier: h, Acks: l.presence.Acks, Acked: l.presence.Changed, Log: log})
	w.lead(l, l.endpoints.Loop())
	h = hands("nodehealth")
	w.lead(l, nodehealth.New(nodehealth.Config{Views: h.View, Applier: h, LastBeat: l.presence.LastBeat, Heard: l.presence.Heard, Standing: l.endpoints.Standing, Log: log}).Loop())
	h = hands("deployment")
	w.lead(l, deployment.New(deployment.Config{Views: h.View, Applier: h, Log: log}).Loop())
	h = hands("placement")
	w.lead(l, placement.New(placement.Config{Views: h.View, Applier: h, NewID: w.newID, Log: log}).Loop())
	h = hands("reaper")
	w.lead(l, reaper.New(reaper.Config{Views: h.View, Applier: h, Log: log}).Loop())
	w.install(l)
}

// lead gives a controller its turns.
func (w *World) lead(l *leader, config loop.Config) {
	controller := loop.New(config)
	l.actors = append(l.actors, w.turns.begin(func() {
		for {
			due := controller.Look(context.Background())
			if w.config.Break == failpoint.NeverEnd && config.Name == "deployment" {
				due = loop.Due{Within: time.Hour}
			}
			if !w.turns.rest(due.Within, due.Changed, due.Wake) {
				return
			}
		}
	}))
}

// depose ends the leader, if there is one, and what it was about to write.
func (w *World) depose() {
	l := w.leader
	if l == nil {
		return
	}
	l.lost = true
	w.abandon(l)
	for _, a := range l.actors {
		w.turns.stop(a)
	}
	w.install(nil)
}

// freeze lets the leader stand still, as a process does that is not scheduled.
func (w *World) freeze(most time.Duration) {
	if w.leader == nil {
		return
	}
	w.leader.still = time.Now().Add(most)
	for _, a := range w.leader.actors {
		a.due, a.wakes = w.leader.still, [2]<-chan struct{}{}
	}
}

// hear is a sign of life, unless nobody listens.
func (l *leader) hear(id string) {
	if now := time.Now(); !now.Before(l.still) {
		l.presence.Beat(id, now)
	}
}

func (w *World) install(l *leader) {
	w.leader = l
	close(w.elected)
	w.elected = make(chan struct{})
}
