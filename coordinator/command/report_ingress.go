package command

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// MaxRouteProblems bounds the problems, and the refused workloads, of one ingress.
const MaxRouteProblems = 100

// reportIngress writes what an ingress does not serve of its routes, and what it
// refuses.
func reportIngress(tx *state.Tx, c *runwayv1.ReportIngress) (proto.Message, error) {
	old := tx.Ingress(c.GetIngress())
	if old == nil {
		return nil, reject(ErrNotFound, code.SpecInvalid, "there is no ingress %q", c.GetIngress())
	}
	if len(c.GetProblems()) > MaxRouteProblems || len(c.GetRefusal().GetGoing()) > MaxRouteProblems {
		return nil, reject(ErrInvalid, code.SpecInvalid, "more than %d problems of ingress %q", MaxRouteProblems, old.GetName())
	}
	ingress := state.Clone(old)
	if ingress.GetStatus() == nil {
		ingress.Status = &runwayv1.IngressStatus{}
	}
	ingress.Status.Problems, ingress.Status.ProblemsOmitted = boundedProblems(c.GetProblems()), c.GetProblemsOmitted()
	ingress.Status.Refusal = c.GetRefusal()
	if proto.Equal(old.GetStatus(), ingress.GetStatus()) {
		return old, nil
	}
	tx.PutIngress(ingress)
	putProblemEvents(tx, ingress, old.GetStatus())
	if refusal := ingress.GetStatus().GetRefusal(); refusal != nil && old.GetStatus().GetRefusal() == nil {
		message := fmt.Sprintf("ingress %s refuses its routes: %d would go without a reason", ingress.GetName(), refusal.GetGoingTotal())
		tx.PutEvent(warning(ofIngress(ingress.GetId(), "ingress.refuses", message), string(code.RoutesWithheld)))
	}
	return ingress, nil
}

func boundedProblems(problems []*runwayv1.RouteProblem) []*runwayv1.RouteProblem {
	var short []*runwayv1.RouteProblem
	for _, p := range problems {
		short = append(short, &runwayv1.RouteProblem{Workload: p.GetWorkload(), Host: bounded(p.GetHost()), Cause: boundedCause(p.GetCause())})
	}
	return short
}

// putProblemEvents says what was not known before: who looks at a service sees why
// its name is not served.
func putProblemEvents(tx *state.Tx, ingress *runwayv1.Ingress, before *runwayv1.IngressStatus) {
	told := map[string]bool{}
	for _, p := range before.GetProblems() {
		told[ProblemKey(p)] = true
	}
	const most = 10 // of one report; `ingresses list` has them all
	said := 0
	for _, p := range ingress.GetStatus().GetProblems() {
		if told[ProblemKey(p)] || said == most {
			continue
		}
		said++
		event := ofIngress(ingress.GetId(), "ingress.route_problem", fmt.Sprintf("ingress %s does not serve %s: %s", ingress.GetName(), p.GetHost(), p.GetCause().GetSummary()))
		event.Workload = p.GetWorkload()
		tx.PutEvent(warning(event, p.GetCause().GetCode()))
	}
}

// ProblemKey tells the problems of an ingress apart. The text of a cause changes with
// every try and makes no other problem.
func ProblemKey(p *runwayv1.RouteProblem) string {
	return string(state.IDOf(p.GetWorkload())) + " " + p.GetHost() + " " + p.GetCause().GetCode()
}
