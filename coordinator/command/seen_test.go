package command_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	. "github.com/runway-platform/runway/coordinator/coordinatortest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// An ingress that becomes live and a replica that is given up by the live ones are decided
// by two controllers: neither may be written on a view from before the other.
func TestSeen_IngressThatReturnsIsAskedFirst(t *testing.T) {
	ingress := func(phase runwayv1.IngressPhase, seen uint64) *runwayv1.SetIngressPhase {
		return &runwayv1.SetIngressPhase{Ingress: "i1", Phase: phase, Reason: "test", Seen: seen}
	}
	const live, lost = runwayv1.IngressPhase_INGRESS_PHASE_LIVE, runwayv1.IngressPhase_INGRESS_PHASE_LOST
	gone := func(seen uint64) *runwayv1.ConfirmRoutes {
		return &runwayv1.ConfirmRoutes{Unrouted: []string{"r1"}, Drained: []string{"r1"}, Seen: seen}
	}
	for _, row := range []struct {
		name      string
		meanwhile []proto.Message
		give      func(seen uint64) proto.Message
		refused   bool
	}{
		{"nothing happened", nil, func(seen uint64) proto.Message { return gone(seen) }, false},
		{"an ingress became live", []proto.Message{ingress(live, 0)}, func(seen uint64) proto.Message { return gone(seen) }, true},
		{"an ingress joined", []proto.Message{RegisterIngress("i2")}, func(seen uint64) proto.Message { return gone(seen) }, true},
		{"an ingress came and went", []proto.Message{ingress(live, 0), ingress(lost, 0)}, func(seen uint64) proto.Message { return gone(seen) }, false},
		{"an old entry asks for nothing", []proto.Message{ingress(live, 0)}, func(uint64) proto.Message { return gone(0) }, false},
		{"it returns", nil, func(seen uint64) proto.Message { return ingress(live, seen) }, false},
		{"it returns while a replica is given up", []proto.Message{gone(0)}, func(seen uint64) proto.Message { return ingress(live, seen) }, true},
		{"an old return asks for nothing", []proto.Message{gone(0)}, func(uint64) proto.Message { return ingress(live, 0) }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := NewState(t, RegisterNode("n1"), RegisterIngress("i1"), ingress(lost, 0), Deploy("d1", "web", Spec(), 1),
				Assign(Replica("r1", "web", 1, "n1", 20000)), goal("r1", runwayv1.Goal_GOAL_DRAIN))
			seen := s.View().Index()
			s.Must(t, row.meanwhile...)
			if _, err := s.Apply(t.Context(), row.give(seen)); errors.Is(err, command.ErrConflict) != row.refused || err != nil && !row.refused {
				t.Errorf("got %v, want refused: %v", err, row.refused)
			}
		})
	}
}
