package endpoint

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// reports returns what the ingresses say of their routes and the state does not have
// yet. An ingress that has said nothing in its session leaves what it said before.
func reports(view *state.View, proof proof) []proto.Message {
	var commands []proto.Message
	for _, ingress := range view.Ingresses() {
		ack := proof.acks[ingress.GetId()]
		if ack.Answers() && !told(ingress.GetStatus(), ack) {
			commands = append(commands, &runwayv1.ReportIngress{
				Ingress: ingress.GetId(), Problems: ack.Problems, ProblemsOmitted: ack.Omitted, Refusal: ack.Refusal,
			})
		}
	}
	return commands
}

// told tells whether the state has the same problems, whatever their texts are now,
// and the same refusal: that of a later generation is the same when the same routes
// would go.
func told(status *runwayv1.IngressStatus, ack presence.Ack) bool {
	return status.GetProblemsOmitted() == ack.Omitted &&
		slices.Equal(problemKeys(status.GetProblems()), problemKeys(ack.Problems)) &&
		(status.GetRefusal() == nil) == (ack.Refusal == nil) &&
		status.GetRefusal().GetGoingTotal() == ack.Refusal.GetGoingTotal() &&
		slices.EqualFunc(status.GetRefusal().GetGoing(), ack.Refusal.GetGoing(), func(a, b *runwayv1.WorkloadKey) bool { return proto.Equal(a, b) })
}

func problemKeys(problems []*runwayv1.RouteProblem) []string {
	keys := make([]string, 0, len(problems))
	for _, p := range problems {
		keys = append(keys, command.ProblemKey(p))
	}
	slices.Sort(keys)
	return keys
}
