package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxEventsAtOnce keeps one command from pushing out all that happened before.
const maxEventsAtOnce = 500

// recordEvents writes events that no other command tells about, such as what an
// agent repaired.
func recordEvents(tx *state.Tx, c *runwayv1.RecordEvents) (proto.Message, error) {
	if len(c.GetEvents()) > maxEventsAtOnce {
		return nil, reject(ErrInvalid, code.SpecInvalid, "%d events at once are above %d", len(c.GetEvents()), maxEventsAtOnce)
	}
	for _, event := range c.GetEvents() {
		if event.GetKind() == "" {
			return nil, reject(ErrInvalid, code.SpecInvalid, "an event has no kind")
		}
		event.Kind = bounded(event.GetKind())
		event.Message = bounded(event.GetMessage())
		tx.PutEvent(event)
	}
	return nil, nil
}
