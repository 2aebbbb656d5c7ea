package loop

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func goals(count int) *runwayv1.SetReplicaGoals {
	c := &runwayv1.SetReplicaGoals{}
	for i := range count {
		c.Goals = append(c.Goals, &runwayv1.ReplicaGoal{Replica: fmt.Sprintf("r-%012d", i), Goal: runwayv1.Goal_GOAL_DRAIN, Reason: "its node was down and it was replaced"})
	}
	return c
}

func TestSplit_KeepsEveryItemInOrderAndEveryPartSmall(t *testing.T) {
	for _, count := range []int{0, 1, 2, 7, 12_000} {
		whole := goals(count)
		var got []*runwayv1.ReplicaGoal
		for _, part := range split(whole, batch) {
			if size := proto.Size(part); size > command.MaxSize {
				t.Errorf("a part of %d items has %d bytes", count, size)
			}
			got = append(got, part.(*runwayv1.SetReplicaGoals).GetGoals()...)
		}
		if !proto.Equal(&runwayv1.SetReplicaGoals{Goals: got}, whole) {
			t.Errorf("%d items: the parts say something else than the whole", count)
		}
	}
}

func TestSplit_CutsAllListsOfACommand(t *testing.T) {
	whole := &runwayv1.ConfirmRoutes{Serving: []string{"a", "b", "c"}, Released: []string{"d"}}
	var serving, released []string
	parts := split(whole, 4)
	for _, part := range parts {
		c := part.(*runwayv1.ConfirmRoutes)
		serving, released = append(serving, c.GetServing()...), append(released, c.GetReleased()...)
	}
	if len(parts) < 2 || strings.Join(serving, "") != "abc" || strings.Join(released, "") != "d" {
		t.Errorf("got %v in %d parts", parts, len(parts))
	}
}

func TestSplit_LeavesAloneWhatCannotBeCut(t *testing.T) {
	for _, payload := range []proto.Message{
		&runwayv1.SetNodePhase{Node: "n1", Reason: strings.Repeat("x", 100)},
		&runwayv1.PurgeReplicas{Replicas: []string{strings.Repeat("x", 100)}},
	} {
		if parts := split(payload, 10); len(parts) != 1 || parts[0] != payload {
			t.Errorf("%v was cut into %v", payload, parts)
		}
	}
}
