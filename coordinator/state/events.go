package state

import (
	"fmt"
	"slices"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// EventsKept bounds the events in the state. At about 300 bytes each they stay
// near 1.5 MB, and hold a busy day of a hundred services.
const EventsKept = 5000

var eventTable = table[*runwayv1.Event]{
	name: TableEvents,
	key: func(e *runwayv1.Event) string {
		return eventKey(e.GetMeta().GetCreatedIndex(), e.GetSequence())
	},
}

// eventKey sorts events by the command that wrote them.
func eventKey(index uint64, sequence uint32) string {
	return fmt.Sprintf("%020d/%010d", index, sequence)
}

// Events returns the newest events, at most limit, oldest first.
func (v *View) Events(limit int) []*runwayv1.Event {
	var events []*runwayv1.Event
	for event := range eventTable.backwards(v) {
		if len(events) >= limit {
			break
		}
		events = append(events, event)
	}
	slices.Reverse(events)
	return events
}

// EventsSince returns the kept events of later commands than index, oldest first.
func (v *View) EventsSince(index uint64) []*runwayv1.Event {
	return eventTable.from(v, eventKey(index+1, 0))
}

// PutEvent appends an event of the present command and forgets the oldest beyond
// EventsKept. Its time is the command's unless it has one.
func (tx *Tx) PutEvent(event *runwayv1.Event) {
	if event.GetAt() == nil {
		event.At = tx.at
	}
	event.Sequence = tx.events
	tx.events++
	event.Meta = &runwayv1.Meta{CreatedIndex: tx.index}
	eventTable.put(tx, event)
	tx.trimEvents()
}

func (tx *Tx) trimEvents() {
	for tx.Count(TableEvents) > EventsKept {
		tx.remove(TableEvents, eventTable.first(tx.View))
	}
}
