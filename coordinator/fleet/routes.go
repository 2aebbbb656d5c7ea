package fleet

import (
	"cmp"
	"fmt"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// RouteProblems returns what live ingresses do not serve of a workload, and why.
func RouteProblems(view *state.View, id state.WorkloadID) []*runwayv1.Cause {
	var causes []*runwayv1.Cause
	for _, i := range view.Ingresses() {
		if !Live(i) {
			continue
		}
		for _, p := range i.GetStatus().GetProblems() {
			if state.IDOf(p.GetWorkload()) == id {
				causes = append(causes, &runwayv1.Cause{
					Code: p.GetCause().GetCode(), Fix: p.GetCause().GetFix(),
					Summary: fmt.Sprintf("ingress %s does not serve %s: %s", i.GetName(), cmp.Or(p.GetHost(), "a part of the service"), p.GetCause().GetSummary()),
				})
			}
		}
	}
	return causes
}
