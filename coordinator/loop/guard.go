package loop

import (
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// sayAgain is how often at most a defect that comes and goes is said: each time is a
// write to the log, and an older event that is forgotten.
const sayAgain = time.Minute

// Guard keeps one workload that trips a controller from stopping the others. It
// remembers who is passed over, so that it is said once and not at every look; the
// memory lasts as long as the controller, so a new leader says it again. Safe for
// concurrent use.
type Guard struct {
	controller string
	log        *slog.Logger

	mu sync.Mutex
	// look and before are who tripped in this look and in the one before it.
	look, before map[state.WorkloadID]bool
	// said is when a defect of a workload was said last, for sayAgain.
	said  map[state.WorkloadID]time.Time
	fresh []*runwayv1.Event
}

// NewGuard returns a guard that has seen nothing yet.
func NewGuard(controller string, log *slog.Logger) *Guard {
	return &Guard{
		controller: controller, log: log.With("component", controller),
		look: map[state.WorkloadID]bool{}, said: map[state.WorkloadID]time.Time{},
	}
}

// Do runs what looks at one workload and tells whether it came to its end. A panic
// is logged with its stack, becomes an event of the workload, and ends there. A look
// may ask about a workload several times; one panic trips it for the whole look.
func (g *Guard) Do(key *runwayv1.WorkloadKey, look func()) (ok bool) {
	defer func() {
		if defect := recover(); defect != nil {
			g.trip(key, fmt.Sprint(defect), debug.Stack(), time.Now())
		}
	}()
	look()
	return true
}

// Events ends a look and returns the command that says who is newly passed over,
// none when nobody is.
func (g *Guard) Events() []proto.Message {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.before, g.look = g.look, map[state.WorkloadID]bool{}
	maps.DeleteFunc(g.said, func(id state.WorkloadID, at time.Time) bool {
		return !g.before[id] && time.Since(at) >= sayAgain
	})
	if len(g.fresh) == 0 {
		return nil
	}
	events := &runwayv1.RecordEvents{Events: g.fresh}
	g.fresh = nil
	return []proto.Message{events}
}

func (g *Guard) trip(key *runwayv1.WorkloadKey, defect string, stack []byte, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := state.IDOf(key)
	known := g.look[id] || g.before[id]
	g.look[id] = true
	if last, said := g.said[id]; said && (known || now.Sub(last) < sayAgain) {
		return
	}
	g.said[id] = now
	g.fresh = append(g.fresh, &runwayv1.Event{
		Kind:     "workload.quarantined",
		Workload: key,
		Code:     string(code.Internal),
		Message:  fmt.Sprintf("%s passes this service over, because of a defect: %s", g.controller, defect),
	})
	g.log.Error("service passed over after a panic", "service", id, "err", defect, "stack", string(stack))
}
