package loop

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Guard keeps one workload that trips a controller from stopping the others. It
// remembers who is passed over, so that it is said once and not at every look; the
// memory lasts as long as the controller, so a new leader says it again. Safe for
// concurrent use.
type Guard struct {
	controller string
	log        *slog.Logger

	mu      sync.Mutex
	tripped map[state.WorkloadID]string
	fresh   []*runwayv1.Event
}

// NewGuard returns a guard that has seen nothing yet.
func NewGuard(controller string, log *slog.Logger) *Guard {
	return &Guard{controller: controller, log: log.With("component", controller), tripped: map[state.WorkloadID]string{}}
}

// Do runs what looks at one workload and tells whether it came to its end. A panic
// is logged with its stack, becomes an event of the workload, and ends there.
func (g *Guard) Do(key *runwayv1.WorkloadKey, look func()) (ok bool) {
	defer func() {
		if defect := recover(); defect != nil {
			g.trip(key, fmt.Sprint(defect), debug.Stack())
			return
		}
		g.release(key)
	}()
	look()
	return true
}

// Events returns the command that says who is newly passed over, none when nobody
// is.
func (g *Guard) Events() []proto.Message {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.fresh) == 0 {
		return nil
	}
	events := &runwayv1.RecordEvents{Events: g.fresh}
	g.fresh = nil
	return []proto.Message{events}
}

func (g *Guard) trip(key *runwayv1.WorkloadKey, defect string, stack []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := state.IDOf(key)
	if g.tripped[id] == defect {
		return
	}
	g.tripped[id] = defect
	g.fresh = append(g.fresh, &runwayv1.Event{
		Kind:     "workload.quarantined",
		Workload: key,
		Code:     string(code.Internal),
		Message:  fmt.Sprintf("%s passes this service over, because of a defect: %s", g.controller, defect),
	})
	g.log.Error("service passed over after a panic", "service", id, "err", defect, "stack", string(stack))
}

func (g *Guard) release(key *runwayv1.WorkloadKey) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.tripped, state.IDOf(key))
}
