package api

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Who follows gets every event, however many come at once and whatever the limit of
// the first look is.
func TestEvents_FollowLosesNone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	events := runwayv1.NewEventsClient(b.as(admin))
	stream, err := events.ListEvents(testContext(t), &runwayv1.ListEventsRequest{Follow: true, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil || len(first.GetEvents()) != 1 {
		t.Fatalf("first = %v, %v", first, err)
	}
	batch := &runwayv1.RecordEvents{}
	for i := range 20 {
		batch.Events = append(batch.Events, &runwayv1.Event{Kind: "test.counted", Message: fmt.Sprint(i)})
	}
	b.state.Must(t, batch)
	answer, err := stream.Recv()
	if err != nil || len(answer.GetEvents()) != 20 {
		t.Errorf("%d events of 20 arrived, %v", len(answer.GetEvents()), err)
	}

	// And so does who comes back.
	again, err := events.ListEvents(testContext(t), &runwayv1.ListEventsRequest{Limit: 1, AfterIndex: first.GetIndex(), Incarnation: first.GetIncarnation()})
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := again.Recv(); err != nil || len(answer.GetEvents()) != 20 || answer.GetGap() {
		t.Errorf("resumed with %d events of 20, %v", len(answer.GetEvents()), err)
	}
	other, err := events.ListEvents(testContext(t), &runwayv1.ListEventsRequest{Limit: 1, AfterIndex: first.GetIndex(), Incarnation: "another"})
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := other.Recv(); err != nil || len(answer.GetEvents()) != 1 {
		t.Errorf("a position of another incarnation gave %d events, want the newest one; %v", len(answer.GetEvents()), err)
	}
}

func TestEvents_FollowSaysWhatWasForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	position := b.state.View().Index()
	for range state.EventsKept/500 + 1 {
		batch := &runwayv1.RecordEvents{}
		for range 500 {
			batch.Events = append(batch.Events, &runwayv1.Event{Kind: "test.counted"})
		}
		b.state.Must(t, batch)
	}
	stream, err := runwayv1.NewEventsClient(b.as(admin)).ListEvents(testContext(t), &runwayv1.ListEventsRequest{
		AfterIndex: position, Incarnation: b.state.View().Cluster().GetIncarnation(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := stream.Recv(); err != nil || !answer.GetGap() || len(answer.GetEvents()) != state.EventsKept {
		t.Errorf("%d events, gap %t, %v", len(answer.GetEvents()), answer.GetGap(), err)
	}
}

// A quiet follow notices that its coordinator no longer leads.
func TestFollows_NoticeThatTheLeadershipIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coordinatortest.NewState(t)
		leads := true
		a := &API{config: Config{Views: s.View, Leader: func() (string, bool) { return "k2:1", leads }}}
		f := &eventFollow{request: &runwayv1.ListEventsRequest{Follow: true}, who: caller.Caller{Role: admin}}
		view, answer, err := eventService{API: a}.await(t.Context(), f, s.View())
		if err != nil || len(answer.GetEvents()) != 0 || answer.GetIndex() != view.Index() {
			t.Fatalf("a quiet follow: %v, %v", answer, err)
		}
		leads = false
		begin := time.Now()
		if _, _, err = (eventService{API: a}).await(t.Context(), f, s.View()); !client.IsNotLeader(err) || time.Since(begin) > heartbeat {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		fan := &fanIn{views: s.View, request: &runwayv1.LogsRequest{Options: &runwayv1.LogOptions{Follow: true}}}
		if err := (serviceService{API: a}).merge(t.Context(), fan, nil); !client.IsNotLeader(err) {
			t.Errorf("a quiet follow of logs: %v", err)
		}
	})
}
