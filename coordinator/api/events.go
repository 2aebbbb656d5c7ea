package api

import (
	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// usualEvents is how many are shown when nothing is asked, maxEvents the most.
	usualEvents, maxEvents = 100, 1000
)

// eventService tells what happened.
type eventService struct {
	runwayv1.UnimplementedEventsServer
	*API
}

// runwayv1.EventsServer

func (s eventService) ListEvents(request *runwayv1.ListEventsRequest, stream runwayv1.Events_ListEventsServer) error {
	ctx, who := stream.Context(), caller.From(stream.Context())
	view := s.view()
	if err := spaceExists(view, request.GetWorkload().GetSpace()); err != nil {
		return err
	}
	events := visible(who, request, view.Events(state.EventsKept))
	for {
		events = events[max(0, len(events)-limit(request)):]
		if err := stream.Send(&runwayv1.ListEventsResponse{Events: events, Index: view.Index()}); err != nil {
			return err
		}
		if !request.GetFollow() {
			return nil
		}
		for events = nil; len(events) == 0; {
			select {
			case <-view.Changed(state.TableEvents):
			case <-ctx.Done():
				return ended(ctx)
			}
			if err := s.atLeader(right{}); err != nil {
				return err
			}
			last := view.Index()
			view = s.view()
			events = visible(who, request, view.EventsSince(last))
		}
	}
}

// visible keeps the events that were asked for and exist for the caller. Those of no
// space, such as a node's, exist for roles that hold in the whole cluster.
func visible(who caller.Caller, request *runwayv1.ListEventsRequest, events []*runwayv1.Event) []*runwayv1.Event {
	var kept []*runwayv1.Event
	for _, e := range events {
		space := e.GetWorkload().GetSpace()
		if (who.SeesAll() || space != "" && who.Sees(space)) && matches(request.GetWorkload(), e.GetWorkload()) {
			kept = append(kept, e)
		}
	}
	return kept
}

func limit(request *runwayv1.ListEventsRequest) int {
	if request.GetLimit() == 0 {
		return usualEvents
	}
	return int(min(request.GetLimit(), maxEvents))
}
