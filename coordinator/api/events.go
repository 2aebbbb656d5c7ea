package api

import (
	"context"
	"time"

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
	view := s.view()
	if err := spaceExists(view, request.GetWorkload().GetSpace()); err != nil {
		return err
	}
	f := &eventFollow{who: caller.From(stream.Context()), request: request}
	answer := f.begin(view)
	for {
		if err := stream.Send(answer); err != nil {
			return err
		}
		if !request.GetFollow() {
			return nil
		}
		var err error
		if view, answer, err = s.await(stream.Context(), f, view); err != nil {
			return err
		}
	}
}

// await returns the next events of a follow, or none after a while: the caller hears
// that somebody is there, and a coordinator that no longer leads sends him on.
func (s eventService) await(ctx context.Context, f *eventFollow, sent *state.View) (*state.View, *runwayv1.ListEventsResponse, error) {
	timer := time.NewTimer(heartbeat)
	defer timer.Stop()
	for {
		quiet := false
		select {
		case <-sent.Changed(state.TableEvents):
		case <-timer.C:
			quiet = true
		case <-ctx.Done():
			return nil, nil, ended(ctx)
		}
		if err := s.atLeader(right{}); err != nil {
			return nil, nil, err
		}
		view := s.view()
		if answer := f.since(view, sent.Index()); quiet || len(answer.GetEvents()) > 0 || answer.GetGap() {
			return view, answer, nil
		}
		sent = view
	}
}

// eventFollow is one call that asks for events.
type eventFollow struct {
	who     caller.Caller
	request *runwayv1.ListEventsRequest
}

// begin returns what the caller lacks: all since his position when he names one of
// this cluster's life, otherwise the newest.
func (f *eventFollow) begin(view *state.View) *runwayv1.ListEventsResponse {
	after := f.request.GetAfterIndex()
	if after > 0 && after <= view.Index() && f.request.GetIncarnation() == view.Cluster().GetIncarnation() {
		return f.since(view, after)
	}
	answer := f.answer(view, view.Events(state.EventsKept))
	answer.Events = answer.Events[max(0, len(answer.Events)-limit(f.request)):]
	return answer
}

// since returns all events after an index. They are never cut: who follows has seen
// everything before.
func (f *eventFollow) since(view *state.View, after uint64) *runwayv1.ListEventsResponse {
	events := view.EventsSince(after)
	answer := f.answer(view, events)
	answer.Gap = len(events) >= state.EventsKept
	return answer
}

func (f *eventFollow) answer(view *state.View, events []*runwayv1.Event) *runwayv1.ListEventsResponse {
	return &runwayv1.ListEventsResponse{
		Events: visible(f.who, f.request, events), Index: view.Index(), Incarnation: view.Cluster().GetIncarnation(),
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
