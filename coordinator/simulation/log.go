package simulation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/consensus"
	"github.com/runway-platform/runway/coordinator/planted"
	"github.com/runway-platform/runway/coordinator/state"
)

// hand is somebody who decides and writes through one leader: a controller or a
// session. The write takes a while, in which others act, and may be lost with the
// leader.
type hand struct {
	world *World
	name  string
	lead  *leader
	// looked is what its present decision is made from; nil for machines.
	looked *state.View
}

// View returns the newest state and remembers it as what the next writes are
// decided from.
func (h *hand) View() *state.View {
	h.looked = h.world.View()
	return h.looked
}

// entry is a write under way.
type entry struct {
	hand    *hand
	payload proto.Message
	looked  *state.View
	// lost: the leader ended meanwhile; its writer will never know.
	lost bool
}

// Apply implements loop.Applier.
func (h *hand) Apply(_ context.Context, payload proto.Message) (command.Result, error) {
	if h.lead.lost {
		return command.Result{}, fmt.Errorf("apply %T: %w", payload, consensus.ErrNotLeader)
	}
	e := &entry{hand: h, payload: payload, looked: h.looked}
	h.lead.flying = append(h.lead.flying, e)
	h.world.turns.rest(h.world.latency())
	if e.lost {
		return command.Result{}, fmt.Errorf("apply %T: %w", payload, consensus.ErrUncertain)
	}
	h.lead.land(e)
	return h.world.commit(e)
}

// write is Apply for machines.
func (h *hand) write(payload proto.Message) (command.Result, error) {
	return h.Apply(context.Background(), payload)
}

// land takes a write from those under way.
func (l *leader) land(e *entry) {
	l.flying = slices.DeleteFunc(l.flying, func(other *entry) bool { return other == e })
}

// abandon ends what is under way with a leader: the first ones are in the log, and
// the next leader begins behind them; the others never were. Nobody is told which.
func (w *World) abandon(l *leader) {
	kept := w.turns.random.IntN(len(l.flying) + 1)
	for i, e := range l.flying {
		e.lost = true
		if i < kept {
			_, _ = w.commit(e) // its writer is told that it is uncertain
		}
	}
	l.flying = nil
}

// latency is how long a write takes now.
func (w *World) latency() time.Duration {
	if w.stalled {
		return between(w.turns.random, 300*time.Millisecond, 3*time.Second)
	}
	return max(0, between(w.turns.random, -2*time.Millisecond, 4*time.Millisecond))
}

// commit applies a write and checks what came of it.
func (w *World) commit(e *entry) (command.Result, error) {
	payload, before := planted.Change(w.config.Break, w.View(), e.payload), w.View()
	result, err := w.state.Apply(context.Background(), payload)
	w.trace(e.hand.name, payload, err)
	if err == nil {
		w.checker.command(change{looked: e.looked, before: before, payload: payload, after: w.View()})
		w.strike(payload)
	}
	return result, err
}

// trace writes down what was decided, for the comparison of two runs and for people.
func (w *World) trace(by string, payload proto.Message, err error) {
	if w.config.Trace == nil {
		return
	}
	text, refused := proto.MarshalOptions{Deterministic: true}.Marshal(payload)
	fmt.Fprintf(w.config.Trace, "%s #%d %s %T %x %v %v\n", w.Broken.elapsed(), w.View().Index(), by, payload, text, err, refused)
	if w.config.Explain {
		fmt.Fprintf(w.config.Trace, "    %v\n", payload)
	}
}

// note writes down what happens to the world.
func (w *World) note(what string) {
	if w.config.Trace != nil {
		fmt.Fprintf(w.config.Trace, "%s -- %s\n", w.Broken.elapsed(), what)
	}
}
